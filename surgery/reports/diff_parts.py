"""The parts of two modules that differ, as sections of a report: signatures, architecture, operations, assets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from rich.console import Console
from rich.text import Text

from surgery.reports.page import Data, aligned, lines, title

SHOWN = 12
"""Rows of a table that are shown unless all are asked for."""
WIDTH = 80
"""Columns of a terminal into which a line should fit."""


def some(console: Console, items: Sequence[Sequence[str]], every: bool) -> None:
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
        tags = one.get("tags") or ["serve"]
        graph = "" if tags == ["serve"] else f", in the meta graph {', '.join(tags)}"
        only = f": only {one['only']} has it" if one["only"] else ""
        lines(console, [one["name"] + graph + only])
        changes = [_change(f"{c['what']} {c['key']}".strip(), c["a"], c["b"]) for c in one["changes"]]
        some(console, changes, every)


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
    some(console, items, every)


def _facts(part: str, console: Console, data: Data, every: bool) -> None:
    title(console, part.capitalize())
    changed = [fact for fact in data[part] if not fact["same"]]
    some(console, [[f"{fact['name']}: {_value(fact['a'])} → {_value(fact['b'])}"] for fact in changed], every)


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
        some(console, [_change(f"{n['node']} {n['what']}", n["a"], n["b"]) for n in graph["nodes"]], every)
    if operations["types"]:
        lines(console, ["operations of the whole module, by type"])
        types = operations["types"].items()
        some(console, [[line] for line in aligned((f"  {op}", f"{a:,} → {b:,}") for op, (a, b) in types)], every)


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
    some(console, [[line] for line in aligned(rows)] if rows else [], every)


SECTIONS: dict[str, Callable[[Console, Data, bool], None]] = {
    "signatures": partial(_interfaces, "signatures"),
    "calls": partial(_interfaces, "calls"),
    "architecture": _architecture,
    "constants": partial(_facts, "constants"),
    "operations": _operations,
    "assets": _assets,
    "manifest": partial(_facts, "manifest"),
}
"""By part; each draws the facts of its part, and all of them only if it is told so."""
