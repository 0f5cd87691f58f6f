"""Part of two reports: where an encoder lies in the graph of a larger model, and the head of that model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console

from surgery.explanation.heads import head_data, head_words
from surgery.reports.page import Data, facts, title
from surgery.tables.head import HEAD

if TYPE_CHECKING:
    from surgery.explanation.architecture import Inference


def data(inference: Inference) -> Data:
    """The ends of an encoder inside a larger graph, and the head; None for each that is not there."""
    call = inference.convention
    inside = {"inputs": dict(call.inputs), "rows": call.rows, "length": call.length} if call.inner else None
    return {"inside": inside, "head": head_data(inference.head)}


def text(console: Console, data: Data, *, kept: bool) -> None:
    """Both as facts. `kept` says whether the head is kept."""
    if data["inside"] is not None:
        title(console, "Encoder inside the graph of a larger model")
        facts(console, list(_inside(data["inside"])))
    if data["head"] is not None:
        _head(console, data["head"], kept)


def sentence(head: Data, *, kept: bool) -> str:
    """A head in one line."""
    if head["kind"] != "dense":
        return f"head of the model, not kept ({', '.join(head['variables'])}): {head['because']}"
    layers = [head] if head["hidden"] is None else [head["hidden"], head]
    weights = ", ".join(name for layer in layers for name in (layer["kernel"], layer["bias"]) if name)
    then = f"kept as the signature {HEAD}" if kept else f"not kept: --keep-head makes it the signature {HEAD}"
    return f"head of the model, {head_words(head)} ({weights}): {then}"


def _inside(inside: Data) -> list[tuple[str, str]]:
    sizes = [f"{inside[key]} {name}" for key, name in (("rows", "rows"), ("length", "tokens")) if inside[key]]
    return [
        *((role, f"is {source}") for role, source in inside["inputs"].items()),
        ("shape", f"the graph takes {' and '.join(sizes)} only" if sizes else "any number of rows and tokens"),
    ]


def _layer(layer: Data) -> list[tuple[str, str]]:
    return [("kernel", f"{layer['kernel']} [{layer['stored']}]"), ("bias", layer["bias"] or "none")]


def _head(console: Console, head: dict[str, Any], kept: bool) -> None:
    if head["kind"] != "dense":
        title(console, "Head: none that can be kept")
        rows = [
            ("outputs", ", ".join(head["outputs"])),
            ("variables", ", ".join(head["variables"])),
            ("because", head["because"]),
        ]
        facts(console, rows)
        return
    title(console, f"Head: {head_words(head)}")
    outputs = ", ".join(f"{name} ({activation})" for name, activation in head["outputs"].items())
    rows = [] if head["hidden"] is None else _layer(head["hidden"])
    rows += [*_layer(head), ("outputs", outputs)]
    if head["names"]:
        rows.append(("labels", ", ".join(head["names"])))
    rows += [(key, str(head[key])) for key in ("problem", "dropout") if head[key] is not None]
    if head["others"]:
        rows.append(("not kept", f"{', '.join(head['others'])}: no activation of its logits"))
    rows.append(("kept", f"as the signature {HEAD}" if kept else f"no: --keep-head makes it the signature {HEAD}"))
    facts(console, rows)
