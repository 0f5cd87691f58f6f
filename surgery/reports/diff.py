"""Report of a comparison: what is equal and what differs, the weights by parts of the model and one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from surgery.plain import plain
from surgery.reports.page import Data, aligned, facts, lines, table_of, title
from surgery.wording import Lines, number, shape_text

if TYPE_CHECKING:
    from surgery.comparing.blocks import Part
    from surgery.comparing.difference import Difference
    from surgery.comparing.facts import Fact
    from surgery.comparing.numbers import Numbers
    from surgery.comparing.pairing import Stored
    from surgery.comparing.sides import Side
    from surgery.comparing.values import ValueDifference
    from surgery.comparing.weights import Weight
    from surgery.explanation.gathering import Evidence

SCHEMA = 1

SHOWN = 12
"""Rows of a table that are shown unless all are asked for."""
WORDS_SHOWN = 8
WIDTH = 80
"""Columns of a terminal into which a line should fit."""


def data(found: Difference, *, every: bool = False) -> Data:
    """All facts of a comparison. `every` says that the text shows every row of its tables."""
    return {
        "a": _module(found.a),
        "b": _module(found.b),
        "same": found.same,
        "compared": list(found.compared),
        "differing": list(found.differing),
        "every": every,
        "weights": {
            "verdict": found.verdict,
            "parts": [{"title": _part_title(part), **plain(part)} for part in found.summary],
            "variables": [_weight(found, weight) for weight in found.weights],
        },
        "signatures": plain(found.signatures),
        "calls": plain(found.calls),
        "architecture": [
            {**_fact(fact), "evidence_a": _evidence(fact.evidence_a), "evidence_b": _evidence(fact.evidence_b)}
            for fact in found.architecture
        ],
        "constants": [_fact(fact) for fact in found.constants],
        "manifest": [_fact(fact) for fact in found.manifest],
        "operations": plain(found.operations),
        "assets": plain(found.assets),
        "numbers": None if found.numbers is None else _numbers_data(found.numbers),
    }


def text(console: Console, data: Data) -> None:
    """The two modules, the parts that differ, and a section for each of these."""
    every = data["every"]
    title(console, "A  " + _named(data["a"]))
    console.print(Text("B  " + _named(data["b"]), style="bold"))
    equal = [part for part in data["compared"] if part not in data["differing"]]
    facts(
        console,
        [
            ("different", ", ".join(data["differing"]) or "nothing"),
            ("equal", ", ".join(equal) or "nothing"),
            *([("weights", data["weights"]["verdict"])] if data["weights"]["verdict"] else []),
        ],
    )
    sections: dict[str, Callable[[Console, Data, bool], None]] = {
        "signatures": partial(_interfaces, "signatures"),
        "calls": partial(_interfaces, "calls"),
        "architecture": _architecture,
        "constants": partial(_facts, "constants"),
        "operations": _operations,
        "assets": _assets,
        "manifest": partial(_facts, "manifest"),
    }
    for part, section in sections.items():
        if part in data["differing"]:
            section(console, data, every)
    if "variables" in data["compared"] and data["weights"]["parts"]:
        _weights(console, data["weights"], every)
    if data["numbers"] is not None:
        _numbers(console, data["numbers"])


def _numbers_data(numbers: Numbers) -> Data:
    parts_at = numbers.parts_at
    return {"parts_at": None if parts_at is None else parts_at.name, **plain(numbers)}


def _module(side: Side) -> Data:
    module = side.module
    return {
        "name": module.name,
        "format": module.format,
        "tensorflow_version": module.tensorflow_version or None,
        "sha256": dict(module.fingerprint),
        "unexplained": None if side.inspection.unexplained is None else Lines(side.inspection.unexplained),
    }


def _fact(fact: Fact) -> Data:
    return {"name": fact.name, "a": plain(fact.a), "b": plain(fact.b), "same": fact.same}


def _evidence(evidence: Sequence[Evidence]) -> list[Data]:
    return [{"source": e.kind, "place": e.place, "places": e.count} for e in evidence]


def _weight(found: Difference, weight: Weight) -> Data:
    pair = weight.pair
    return {
        "name": pair.name,
        "a": _stored(pair.a),
        "b": _stored(pair.b),
        "paired_by": pair.by or None,
        "part": pair.group,
        "block": pair.block,
        "state": weight.state,
        "same": weight.same,
        "other_layout": weight.relaid,
        "holds": weight.holds,
        "reason": weight.reason,
        "difference": _difference(weight.difference, found.words if pair.name == found.word_table else ((), ())),
    }


def _stored(stored: Stored | None) -> Data | None:
    if stored is None:
        return None
    variable = stored.variable
    return {"name": variable.name, "dtype": variable.dtype, "shape": list(variable.shape)}


def _difference(found: ValueDifference | None, words: tuple[Sequence[str], Sequence[str]]) -> Data | None:
    """The numbers of a difference, with the words of its rows where these are words."""
    if found is None:
        return None
    numbers: Data = {**plain(found), "relative": found.relative}
    for row in numbers["rows"]["farthest"] if found.rows is not None else ():
        named = [side[row["row"]] if row["row"] < len(side) else None for side in words]
        row["words"] = named if any(named) else None
    return numbers


def _named(module: Data) -> str:
    return f"{module['name']} ({module['format']})"


def _part_title(part: Part) -> str:
    if part.first is None:
        return part.name
    if part.first == part.last:
        return f"block {part.first}"
    return f"blocks {part.first} {'and' if part.last == part.first + 1 else 'to'} {part.last}"


def _some(console: Console, items: Sequence[Sequence[str]], every: bool) -> None:
    """Items of one or more lines each, which are never folded; only the first ones, unless all are asked for."""
    lines(console, (line for item in (items if every else items[:SHOWN]) for line in item))
    if not every and len(items) > SHOWN:
        console.print(Text(f"… and {len(items) - SHOWN:,} more: --all shows them", style="dim"))


def _change(name: str, a: str | None, b: str | None) -> list[str]:
    """What is different on one line, or on three if it would be long."""
    if a is None or b is None:
        return [f"  {name}: only {'A' if b is None else 'B'}, {a if b is None else b}"]
    line = f"  {name}: {a} → {b}"
    return [line] if len(line) <= WIDTH else [f"  {name}", f"    A  {a}", f"    B  {b}"]


def _interfaces(part: str, console: Console, data: Data, every: bool) -> None:
    title(console, f"{part.capitalize()} that differ")
    for one in data[part]:
        only = f": only {one['only']} has it" if one["only"] else ""
        lines(console, [one["name"] + only])
        changes = [_change(f"{c['what']} {c['key']}".strip(), c["a"], c["b"]) for c in one["changes"]]
        _some(console, changes, every)


def _architecture(console: Console, data: Data, every: bool) -> None:
    title(console, "Architecture")
    for side in ("a", "b"):
        if (reason := data[side]["unexplained"]) is not None:
            console.print(Text(f"{side.upper()} is not explained: {reason}"), soft_wrap=True)
    items = []
    for fact in data["architecture"]:
        if not fact["same"]:
            item = [f"{fact['name']}: {_value(fact['a'])} → {_value(fact['b'])}"]
            item += [f"  A  {e['source']}: {e['place']}" for e in fact["evidence_a"]]
            item += [f"  B  {e['source']}: {e['place']}" for e in fact["evidence_b"]]
            items.append(item)
    _some(console, items, every)


def _facts(part: str, console: Console, data: Data, every: bool) -> None:
    title(console, part.capitalize())
    changed = [fact for fact in data[part] if not fact["same"]]
    _some(console, [[f"{fact['name']}: {_value(fact['a'])} → {_value(fact['b'])}"] for fact in changed], every)


def _value(value: Any) -> str:
    return "none" if value is None else str(value)


def _operations(console: Console, data: Data, every: bool) -> None:
    title(console, "Operations")
    operations = data["operations"]
    for graph in operations["differing"]:
        if not graph["named_alike"]:
            lines(console, [f"{graph['name']}: computed in another way, by operations of other names"])
            continue
        lines(console, [f"{graph['name']}: {len(graph['nodes']):,} differences"])
        _some(console, [_change(f"{n['node']} {n['what']}", n["a"], n["b"]) for n in graph["nodes"]], every)
    if operations["types"]:
        lines(console, ["operations of the whole module, by type"])
        types = operations["types"].items()
        _some(console, [[line] for line in aligned((f"  {op}", f"{a:,} → {b:,}") for op, (a, b) in types)], every)


def _assets(console: Console, data: Data, every: bool) -> None:
    title(console, "Assets")
    for asset in data["assets"]:
        lines(console, [asset["name"]])
        for side, size in zip("ab", asset["sizes"], strict=True):
            there = asset[side] if size is not None else f"{asset[side] or 'none'} (no file)"
            lines(console, [f"  {side.upper()}  {there}" + (f", {size:,} bytes" if size is not None else "")])
        if asset["reason"]:
            lines(console, [f"  it cannot be read as text: {asset['reason']}"])
        if asset["lines"] is not None:
            _lines(console, asset["lines"], every)


def _lines(console: Console, found: Data, every: bool) -> None:
    counts = {way: len(found[way]) for way in ("added", "removed", "moved")}
    said = ", ".join(f"{count:,} {way}" for way, count in counts.items())
    lines(
        console,
        [f"  lines: {found['a']:,} → {found['b']:,}; {said if any(counts.values()) else 'only their ends differ'}"],
    )
    rows = [
        *((f"  {line}", f"added as {number}") for number, line in found["added"]),
        *((f"  {line}", f"removed from {number}") for number, line in found["removed"]),
        *((f"  {moved['line']}", f"{moved['a']} → {moved['b']}") for moved in found["moved"]),
    ]
    _some(console, [[line] for line in aligned(rows)] if rows else [], every)


def _weights(console: Console, weights: Data, every: bool) -> None:
    title(console, "Weights")
    rows = [
        (
            part["title"],
            part["state"],
            f"{part['changed']:,} of {part['weights']:,}" if part["changed"] else f"{part['weights']:,}",
            _optional(part["relative"]),
            _cosine(part["cosine"]),
        )
        for part in weights["parts"]
    ]
    table_of(console, ("part", "", "weights", "RMS of change", "cosine"), rows)
    changed = [weight for weight in weights["variables"] if not weight["same"]]
    if changed:
        console.print(Text("RMS of change: relative to the RMS of the weights in A", style="dim"))
        console.print()
        _some(console, [_item(weight) for weight in changed], every)


def _numbers(console: Console, numbers: Data) -> None:
    title(console, f"Numbers: {numbers['batches']} batches in double precision")
    if numbers["parts_at"] is None:
        console.print("every output that both have is the same function")
    else:
        lines(console, [f"they part at {numbers['parts_at']}"])
    lines(console, aligned((f"  {one['name']}", _part_of_rms(one)) for one in numbers["outputs"]))
    for side in ("a", "b"):
        if names := numbers[f"only_{side}"]:
            lines(console, [f"only {side.upper()}: {name}" for name in names])
    for name, types in numbers["lacking"].items():
        lines(console, [f"{name}: not compared, {', '.join(types)} has no kernel for double precision"])


def _part_of_rms(output: Data) -> str:
    apart = f"{number(output['difference'])} of its RMS"
    return f"same, to {apart}" if output["passed"] else output["problem"] or f"differs by {apart}"


def _item(weight: Data) -> list[str]:
    """A weight that differs: its name, how, and the words whose rows moved farthest."""
    found, state = weight["difference"], weight["state"]
    if state == "equal":
        state = f"equal numbers, {weight['a']['dtype']} → {weight['b']['dtype']}"
    elif state == "shape":
        state = " → ".join(shape_text(weight[side]["shape"]) for side in ("a", "b"))
    elif weight["reason"]:
        state = f"not compared: {weight['reason']}"
    said = [state]
    if found is not None:
        rows = found["rows"]
        if weight["state"] == "shape":
            said.append("of the rows in both")
        said += [f"{found['changed']:,} of {found['elements']:,} numbers"] if rows is None else []
        said += [f"{rows['count']:,} of {rows['of']:,} rows"] if rows is not None else []
        said += [f"RMS {_optional(found['relative'])}"] if found["relative"] is not None else []
        said += [f"cosine {_cosine(found['cosine'])}"] if found["cosine"] is not None else []
        said += [f"{found['nonfinite']:,} NaN or infinite"] if found["nonfinite"] else []
    item = [weight["name"], "  " + ", ".join(said)]
    if weight["holds"] is not None:
        item.append(f"  B has here what A has in {weight['holds']}")
    return [*item, *_words(found)]


def _words(found: Data | None) -> Iterator[str]:
    rows = found["rows"]["farthest"] if found is not None and found["rows"] is not None else []
    for row in [row for row in rows if row.get("words")][:WORDS_SHOWN]:
        word = " → ".join(dict.fromkeys(word or "(none)" for word in row["words"]))
        yield f"  row {row['row']}  {word}" + (f"  {_optional(row['difference'])}" if row["difference"] else "")


def _optional(value: float | None) -> str:
    return "" if value is None else number(value)


def _cosine(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"
