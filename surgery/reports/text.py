"""Text for people, from the data of `report`: a table a section, on terminals of any width."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from surgery.reports.extraction import extraction
from surgery.reports.page import facts, table_of, title
from surgery.reports.parity import comparison, parity, verdict
from surgery.reports.serving_text import serving
from surgery.wording import shape_text, size

__all__ = ["edit", "extraction", "inspection", "parity", "plan", "preprocessor", "serving", "structure_text", "taps"]

Data = dict[str, Any]


def inspection(console: Console, data: Data) -> None:
    """A module: format, graphs, signatures, calls, files, and what the weight tables make of it."""
    title(console, data["name"])
    told = [
        ("format", data["format"]),
        *_origin(data),
        *((f"sha256 {file.rpartition('/')[2]}", digest) for file, digest in data["sha256"].items()),
        (
            "variables",
            "{count} ({trainable} trainable), ".format(**data["variables"]) + size(data["variables"]["bytes"]),
        ),
    ]
    lists = data["block_outputs"]["lists"]
    if data["callables"]:
        exposed = ", ".join(f"{key} (a list of {count})" for key, count in lists.items())
        told.append(("block outputs", exposed or "not exposed: the call returns its ends only"))
    facts(console, told)
    for problem in data["problems"]:
        console.print(Text(f"damaged: {problem}", style="bold red"))
    for graph in data["meta_graphs"]:
        tags = "{" + ", ".join(graph["tags"]) + "}"
        empty = " (the empty tag set)" if not graph["tags"] else ""
        title(console, f"Meta graph {tags}{empty}: {graph['nodes']} nodes, {graph['functions']} functions")
        for name, signature in graph["signatures"].items():
            _signature(console, name, signature)
    if data["callables"]:
        title(console, "Calls")
        rows = [
            (_call_name(c), arrow, structure_text(c[way]))
            for c in data["callables"]
            for arrow, way in (("takes", "takes"), ("returns", "returns"))
        ]
        table_of(console, ("call", "", "structure"), rows)
    if data["assets"]:
        title(console, "Assets")
        facts(console, list(data["assets"].items()))
    if data["attached_messages"]:
        title(console, "Attached messages")
        rows = [("{" + ", ".join(m["tags"]) + "}", m["key"], m["hex"]) for m in data["attached_messages"]]
        table_of(console, ("tags", "key", "bytes (hex)"), rows)
    if "list" in data["variables"]:
        title(console, "Variables")
        listed = [
            (v["name"], v["dtype"], shape_text(v["shape"]), "trainable" if v["trainable"] else v["attribute"] or "")
            for v in data["variables"]["list"]
        ]
        table_of(console, ("name", "dtype", "shape", ""), listed)
    if "explanation" in data:
        architecture(console, data["explanation"])
    else:
        title(console, "No weight table explains this module")
        console.print(escape(data["unexplained"]["reason"]), soft_wrap=True)


def _origin(data: Data) -> list[tuple[str, str]]:
    """Who wrote a SavedModel and how large its graph is; or the config that describes a checkpoint."""
    graph = [("graph", size(data["saved_model_bytes"]))] if data["saved_model_bytes"] else []
    if data["config"] is not None:
        said = ", ".join(f"{key} {value}" for key, value in data["config"]["values"].items())
        return [*graph, (data["config"]["file"], said)]
    return [("written by", f"TensorFlow {data['tensorflow_version'] or '(not said)'}"), *graph]


def architecture(console: Console, data: Data) -> None:
    """Each hyperparameter with where it was read."""
    title(console, f"Architecture: {data['family']}, {data['generation']}")
    rows = []
    for field in data["architecture"]:
        for number, evidence in enumerate(field["evidence"]):
            places = f" (and {evidence['places'] - 1} more)" if evidence["places"] > 1 else ""
            rows.append(
                (
                    field["field"] if number == 0 else "",
                    str(field["value"]) if number == 0 else "",
                    evidence["source"],
                    f"{evidence['place']}{places}",
                )
            )
    table_of(console, ("field", "value", "from", "read at"), rows)


def plan(console: Console, data: Data) -> None:
    """A dry run: architecture, the way of every variable, and what would be written."""
    title(console, f"Plan for {data['name']} ({data['format']})")
    architecture(console, data)
    title(
        console,
        f"Weights: {len(data['assignments'])} assigned, {len(data['kept'])} kept, {len(data['dropped'])} dropped",
    )
    numbers: dict[tuple[str, str], int] = {}
    for a in data["assignments"]:
        numbers.setdefault((a["rule"], a["layout"]), len(numbers) + 1)
    rows = [(str(numbers[a["rule"], a["layout"]]), a["variable"], a["target"], _shapes(a)) for a in data["assignments"]]
    table_of(console, ("rule", "variable", "target", "shape"), rows)
    title(console, "Rules: the rows of the weight table that say so")
    table_of(
        console, ("rule", "source name", "layout"), [(str(n), rule, layout) for (rule, layout), n in numbers.items()]
    )
    for kept in data["kept"]:
        console.print(escape(f"kept: {kept['variable']} as the attribute {kept['attribute']}"))
    for dropped in data["dropped"]:
        console.print(escape(f"dropped: {dropped['variable']}: {dropped['because']}"))
    title(console, f"Would be written to {data['destination']}")
    told = [(f"signature {name}", ", ".join(outputs)) for name, outputs in data["signatures"].items()]
    told += [("assets", ", ".join(f"{key} ({file})" for key, file in data["assets"].items()) or "none")]
    told += [("weights", size(data["weight_bytes"]))]
    facts(console, told)


def edit(console: Console, data: Data) -> None:
    """A published edit: what it hit, what stayed and what changed; then the comparison, and what it proves.

    An edit changes the function on purpose, so the verdict is not that it is the same.
    """
    title(console, "Edits")
    for applied in data["edits"]:
        places = "1 place" if applied["places"] == 1 else f"{applied['places']} places"
        console.print(escape(f"{applied['edit']}: {places}"))
    kept = ", ".join(str(place["origin"]) for place in data["blocks"])
    console.print(f"blocks now, by their number in the module: {kept}")
    console.print("bit-equal to the unedited export: " + (", ".join(data["unchanged"]) or "nothing"))
    console.print("changed by intent: " + (", ".join(data["changed"]) or "nothing"), soft_wrap=True)
    comparison(console, data["parity"])
    equal = len(data["unchanged"])
    outputs = "1 output is" if equal == 1 else f"{equal} outputs are"
    unchanged = f"; {outputs} bit-equal to the unedited export's" if equal else ""
    verdict(console, f"the export computes the edited encoder{unchanged}", passed=True)


def preprocessor(console: Console, data: Data) -> None:
    """A preprocessor: how it tokenizes, and where it was written."""
    casing = "lower-cased" if data["lower_case"] else "as it is"
    told = [
        ("tokenizer", f"{data['tokenizer']} ({data['vocabulary']}), text {casing} (from {data['lower_case_from']})"),
        ("packs to", f"{data['seq_length']} tokens, unless a caller says seq_length="),
        ("wrote", data["destination"]),
    ]
    facts(console, told)


def taps(console: Console, data: Data) -> None:
    """What can be tapped: a row a name, with the bytes of one block's tensor in a reply."""
    title(console, f"Taps of {data['name']} ({data['family']}, {data['blocks']} blocks)")
    rows = [(tap["name"], _axes(tap), size(tap["bytes"]), tap["meaning"]) for tap in data["taps"]]
    table_of(console, ("tap", "shape", "a block", "what it is"), rows)
    console.print(
        f"a block: bytes of one block's tensor in a reply of {data['batch']} x {data['length']} tokens; "
        f"--tap NAME is all {data['blocks']}, --tap NAME@-1 the last, --tap NAME@0,3 or NAME@-4: as Python counts"
    )
    for name, reason in data["not_offered"].items():
        console.print(Text(f"no {name}: {reason}", style="dim"))


def _axes(tap: Data) -> str:
    shown = (
        axis if length is None else f"{axis} {length}" for axis, length in zip(tap["axes"], tap["shape"], strict=True)
    )
    return "[" + ", ".join(shown) + "]"


def structure_text(value: Any) -> str:
    """A structure on one line; a list of equal things is told once: `list of 12 x float32 [?, ?, 768]`."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {structure_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        items = [structure_text(item) for item in value]
        if len(items) > 1 and len(set(items)) == 1:
            return f"list of {len(items)} x {items[0]}"
        return f"list of {len(items)}: " + ", ".join(items) if items else "nothing"
    return str(value)


def _signature(console: Console, name: str, data: Data) -> None:
    rows: list[tuple[str, ...]] = []
    for way in ("inputs", "outputs"):
        for tensor in data[way]:
            found = tensor.get("is")
            named = " = ".join(found["places"]) if found else ""
            if found and "role" in found:
                named += f" {found['role']}"
            named = f"{found['callable']}: {named}" if found and found["callable"] != "__call__" else named
            row = (
                way[:-1],
                tensor["key"],
                f"{tensor['dtype']} {shape_text(tensor['shape'])}",
                tensor["tensor"] or "",
                named,
            )
            rows.append(row)
    shows_places = any(row[4] for row in rows)
    heads = ("", "key", "type", "tensor", "is, in the call")
    console.print(Text(f"signature {name}", style="bold"))
    table_of(console, heads if shows_places else heads[:4], [row if shows_places else row[:4] for row in rows])
    for how in dict.fromkeys(t["is"]["how"] for way in ("inputs", "outputs") for t in data[way] if "is" in t):
        console.print(Text(f"is, in the call: known by {how}", style="dim"))


def _shapes(assignment: Data) -> str:
    before, after = shape_text(assignment["from"]), shape_text(assignment["to"])
    return before if before == after else f"{before} to {after}"


def _call_name(call: Data) -> str:
    training = "" if call["training"] is None else f"(training={call['training']})"
    return f"{call['name']}{training}"
