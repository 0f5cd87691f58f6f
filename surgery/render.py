"""Text for people, from the data of `report`: a table a section, on terminals of any width."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

Data = dict[str, Any]


def inspection(console: Console, data: Data) -> None:
    """A module: format, graphs, signatures, calls, files, and what the weight tables make of it."""
    _title(console, data["name"])
    facts = [
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
        facts.append(("block outputs", exposed or "not exposed: the call returns its ends only"))
    _facts(console, facts)
    for problem in data["problems"]:
        console.print(Text(f"damaged: {problem}", style="bold red"))
    for graph in data["meta_graphs"]:
        tags = "{" + ", ".join(graph["tags"]) + "}"
        empty = " (the empty tag set)" if not graph["tags"] else ""
        _title(console, f"Meta graph {tags}{empty}: {graph['nodes']} nodes, {graph['functions']} functions")
        for name, signature in graph["signatures"].items():
            _signature(console, name, signature)
    if data["callables"]:
        _title(console, "Calls")
        rows = [
            (_call_name(c), arrow, structure_text(c[way]))
            for c in data["callables"]
            for arrow, way in (("takes", "takes"), ("returns", "returns"))
        ]
        _table(console, ("call", "", "structure"), rows)
    if data["assets"]:
        _title(console, "Assets")
        _facts(console, list(data["assets"].items()))
    if data["attached_messages"]:
        _title(console, "Attached messages")
        rows = [("{" + ", ".join(m["tags"]) + "}", m["key"], m["hex"]) for m in data["attached_messages"]]
        _table(console, ("tags", "key", "bytes (hex)"), rows)
    if "list" in data["variables"]:
        _title(console, "Variables")
        listed = [
            (v["name"], v["dtype"], shape(v["shape"]), "trainable" if v["trainable"] else v["attribute"] or "")
            for v in data["variables"]["list"]
        ]
        _table(console, ("name", "dtype", "shape", ""), listed)
    if "explanation" in data:
        architecture(console, data["explanation"])
    else:
        _title(console, "No weight table explains this module")
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
    _title(console, f"Architecture: {data['family']}, {data['generation']}")
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
    _table(console, ("field", "value", "from", "read at"), rows)


def plan(console: Console, data: Data) -> None:
    """A dry run: architecture, the way of every variable, and what would be written."""
    _title(console, f"Plan for {data['name']} ({data['format']})")
    architecture(console, data)
    _title(
        console,
        f"Weights: {len(data['assignments'])} assigned, {len(data['kept'])} kept, {len(data['dropped'])} dropped",
    )
    numbers: dict[tuple[str, str], int] = {}
    for a in data["assignments"]:
        numbers.setdefault((a["rule"], a["layout"]), len(numbers) + 1)
    rows = [(str(numbers[a["rule"], a["layout"]]), a["variable"], a["target"], _shapes(a)) for a in data["assignments"]]
    _table(console, ("rule", "variable", "target", "shape"), rows)
    _title(console, "Rules: the rows of the weight table that say so")
    _table(
        console, ("rule", "source name", "layout"), [(str(n), rule, layout) for (rule, layout), n in numbers.items()]
    )
    for kept in data["kept"]:
        console.print(escape(f"kept: {kept['variable']} as the attribute {kept['attribute']}"))
    for dropped in data["dropped"]:
        console.print(escape(f"dropped: {dropped['variable']}: {dropped['because']}"))
    _title(console, f"Would be written to {data['destination']}")
    facts = [(f"signature {name}", ", ".join(outputs)) for name, outputs in data["signatures"].items()]
    facts += [("assets", ", ".join(f"{key} ({file})" for key, file in data["assets"].items()) or "none")]
    facts += [("weights", size(data["weight_bytes"]))]
    _facts(console, facts)


def taps(console: Console, data: Data) -> None:
    """What can be tapped: a row a name, with the bytes of one block's tensor in a reply."""
    _title(console, f"Taps of {data['name']} ({data['family']}, {data['blocks']} blocks)")
    rows = [(tap["name"], _axes(tap), size(tap["bytes"]), tap["meaning"]) for tap in data["taps"]]
    _table(console, ("tap", "shape", "a block", "what it is"), rows)
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


def parity(console: Console, data: Data) -> None:
    """A parity report: per output the errors, then weights, contract and verdict."""
    _title(console, f"Parity on {data['batches']} batches, against {data['reference']}")
    rows = []
    for diff in data["outputs"]:
        verdict = "bit-equal" if diff["bit_equal"] else "passed" if diff["passed"] else diff["problem"] or "FAILED"
        padding = "" if diff["padding_rows"] is None else f"{diff['padding_rows']:.2g}"
        bad = "" if diff["nonfinite"] == [0, 0] else "{}/{}".format(*diff["nonfinite"])
        rows.append((diff["name"], number(diff["max_abs"]), number(diff["relative"]), padding, bad, verdict))
    _table(console, ("output", "max abs", "of RMS", "padding rows", "NaN", "verdict"), rows)
    weights = data["weights"]
    equal = weights["compared"] - len(weights["mismatches"])
    console.print(f"weights: {max(equal, 0)} of {weights['compared']} bit-equal to the module's in the reloaded export")
    for name, count in data["nonfinite_weights"].items():
        console.print(Text(f"  {name}: {count} of its values are NaN or infinite, in the module too", style="yellow"))
    for line in (*weights["mismatches"][:12], *data["contract"]):
        console.print(Text(f"  {line}", style="red"))
    tolerance = data["tolerance"]
    console.print(f"tolerance: max abs error <= {tolerance['atol']:g} + {tolerance['rtol']:g} x RMS of the output")
    if any(diff["padding_rows"] is not None for diff in data["outputs"]):
        console.print("padding rows: largest error in rows that are nothing but padding; reported, not judged")
    console.print(
        Text(
            "verdict: the same function" if data["passed"] else "verdict: NOT the same function",
            style="bold green" if data["passed"] else "bold red",
        )
    )


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


def shape(sizes: Iterable[int | None] | None) -> str:
    return "unknown rank" if sizes is None else "[" + ", ".join("?" if s is None else str(s) for s in sizes) + "]"


def size(count: int) -> str:
    """Bytes as people read them: 417.6 MiB."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024 or unit == "MiB":
            return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    raise AssertionError


def number(value: float | None) -> str:
    return "inf" if value is None else "0" if value == 0 else f"{value:.2g}"


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
                f"{tensor['dtype']} {shape(tensor['shape'])}",
                tensor["tensor"] or "",
                named,
            )
            rows.append(row)
    shows_places = any(row[4] for row in rows)
    heads = ("", "key", "type", "tensor", "is, in the call")
    console.print(Text(f"signature {name}", style="bold"))
    _table(console, heads if shows_places else heads[:4], [row if shows_places else row[:4] for row in rows])
    for how in dict.fromkeys(t["is"]["how"] for way in ("inputs", "outputs") for t in data[way] if "is" in t):
        console.print(Text(f"is, in the call: known by {how}", style="dim"))


def _shapes(assignment: Data) -> str:
    before, after = shape(assignment["from"]), shape(assignment["to"])
    return before if before == after else f"{before} to {after}"


def _call_name(call: Data) -> str:
    training = "" if call["training"] is None else f"(training={call['training']})"
    return f"{call['name']}{training}"


def _title(console: Console, text: str) -> None:
    console.print()
    console.print(Text(text, style="bold"))


def _facts(console: Console, rows: list[tuple[str, str]]) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    console.print(table)


def _table(console: Console, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    console.print(table)
