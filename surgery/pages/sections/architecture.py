"""The architecture: the encoder drawn block by block with the shapes, and the evidence for each hyperparameter."""

from __future__ import annotations

from surgery.explanation.groups import BLOCKS, SHARED_BLOCK
from surgery.pages.section import Data, Documents, Section, found
from surgery.pages.sections.facts import explanation, hyperparameters, parts
from surgery.tables.head import HEAD

BY_HEAD = ["batch", "seq", "heads", "size"]


def view(documents: Documents) -> Data | None:
    """The parts with what they return, the sublayers of a block, and the hyperparameters with their evidence."""
    explained = explanation(documents)
    if explained is None:
        return None
    plan, taps, values = found(documents, "plan"), found(documents, "taps"), hyperparameters(documents)
    return {
        "explanation": explained,
        "inputs": [] if plan is None else list(plan["convention"]["inputs"]),
        "parts": [
            part | {"shape": _shape(part, values), "shared": part["group"] == SHARED_BLOCK, "aside": _is_aside(part)}
            for part in parts(documents)
        ],
        "taps": [] if taps is None else _rows(taps["taps"]),
        "not_offered": {} if taps is None else taps["not_offered"],
        "times": values.get("num_hidden_layers"),
    }


def _shape(part: Data, values: Data) -> str | None:
    """What a block returns; None for other parts, whose results no hyperparameter tells."""
    if part["group"] not in (BLOCKS, SHARED_BLOCK) or "hidden_size" not in values:
        return None
    return f"[batch, seq, {values['hidden_size']}]"


def _is_aside(part: Data) -> bool:
    """Whether a part takes what the encoder returns, and is none of its own: a submodel or a head."""
    group: str = part["group"]
    return group.startswith(".") or group == HEAD


def _rows(taps: list[Data]) -> list[list[Data]]:
    """The sublayers in the order of computation; queries, keys and values, of which none needs another, in one row."""
    rows: list[list[Data]] = []
    for tap in taps:
        axes = zip(tap["axes"], tap["shape"], strict=True)
        row = {**tap, "text": "[" + ", ".join(axis if size is None else f"{axis} {size}" for axis, size in axes) + "]"}
        if rows and tap["axes"] == BY_HEAD == rows[-1][-1]["axes"]:
            rows[-1].append(row)
        else:
            rows.append([row])
    return rows


ARCHITECTURE = Section(name="architecture", title="Architecture", view=view)
