"""The results as JSON-ready data, and as tables for people."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from scripts.tools.runtimes.comparison import Result, SignatureResult
from scripts.tools.runtimes.differences import Difference
from scripts.tools.runtimes.registry import FLOAT32, TIMES_ROUNDED, TIMES_ROUNDING
from surgery.proof.comparison import computation_order
from surgery.reports.page import table_of, title
from surgery.wording import number

Data = dict[str, Any]
JUDGED = (
    f"tolerance: float32 max abs error <= {FLOAT32.atol:g} + {FLOAT32.rtol:g} x RMS; below it "
    f"{TIMES_ROUNDED} x what rounding the weights changes + {TIMES_ROUNDING} roundings of the RMS"
)


def as_data(export: str, results: Iterable[Result]) -> Data:
    """All results of one export, as JSON-ready data."""
    rows = [_row(result) for result in results if result.concerned]
    return {"export": export, "passed": not any(row["faults"] for row in rows), "runtimes": rows}


def _row(result: Result) -> Data:
    loaded = result.loaded
    worst = result.worst
    return {
        "runtime": result.runtime.name,
        "title": result.runtime.title,
        "version": result.version,
        "tried": result.ran,
        "loads": len(loaded),
        "signatures": [_signature(signature) for signature in result.signatures],
        "names": sum(len(signature.expected) for signature in result.signatures),
        "alive": sum(len(signature.expected) - len(signature.lost) for signature in loaded),
        "precision": ", ".join(dict.fromkeys(signature.precision for signature in loaded)),
        "worst": _output(worst) if worst else None,
        "failure": result.failure,
        "faults": result.faults,
    }


def _signature(signature: SignatureResult) -> Data:
    return {
        "name": signature.name,
        "loads": signature.loads,
        "reason": signature.reason,
        "note": signature.note,
        "lost": list(signature.lost),
        "other_names": dict(signature.others or {}),
        "outputs": [_output(diff) for diff in signature.diffs],
    }


def _output(diff: Difference) -> Data:
    finite = math.isfinite(diff.max_abs)
    return {
        "name": diff.name,
        "max_abs": diff.max_abs if finite else None,
        "relative": diff.relative if finite else None,
        "passed": diff.passed,
        "problem": diff.problem,
    }


def print_results(console: Console, data: Data, outputs: bool) -> None:
    """Print a table for each export: one row per runtime, then remarks; with `outputs`, the error of every output."""
    for export in data["exports"]:
        title(console, export["export"])
        rows = export["runtimes"]
        heads = ("runtime", "loads", "names", "worst error", "of RMS", "output", "precision")
        table_of(console, heads, (_cells(row) for row in rows))
        speakers: dict[str, list[str]] = {}
        for row in rows:
            for remark in _remarks(row):
                speakers.setdefault(remark, []).append(row["title"])
        for remark, titles in speakers.items():
            console.print(escape(f"{'; '.join(titles)}: {remark}"))
        if outputs:
            _print_outputs(console, rows)
    console.print()
    console.print(f"reference: {data['reference']}")
    console.print(JUDGED)
    verdict = "every runtime that loads has every name and the same numbers"
    if data["passed"]:
        console.print(Text(f"verdict: {verdict}"))
        return
    for export in data["exports"]:
        for row in export["runtimes"]:
            for fault in row["faults"]:
                console.print(Text(f"WRONG: {row['title']}: {export['export']}: {fault}", style="bold red"))


def _cells(row: Data) -> tuple[str, ...]:
    names = f"{row['alive']}/{row['names']}" if row["names"] else ""
    if not row["tried"]:
        return (row["title"], "not run", *[""] * 5)
    loads = f"{row['loads']} of {len(row['signatures'])}" if 0 < row["loads"] < len(row["signatures"]) else None
    loads = loads or ("yes" if row["loads"] else "no")
    if row["worst"] is None:
        return (row["title"], loads, names, *[""] * 4)
    worst = row["worst"]
    return (
        row["title"],
        loads,
        names,
        number(worst["max_abs"]),
        number(worst["relative"]),
        worst["name"],
        row["precision"],
    )


def _remarks(row: Data) -> list[str]:
    """Facts that do not fit into a row: reasons why a signature does not load, notes, and names that are lost."""
    remarks = [row["failure"]] if row["failure"] else []
    by_reason: dict[str, list[str]] = {}
    for signature in row["signatures"]:
        for text in filter(None, (signature["reason"], signature["note"])):
            by_reason.setdefault(text, []).append(signature["name"])
    for text, names in by_reason.items():
        remarks.append(text if len(names) == len(row["signatures"]) else f"{', '.join(names)}: {text}")
    for signature in row["signatures"]:
        renamed = {lost: name for name, lost in signature["other_names"].items() if lost}
        remarks += [
            f"{signature['name']}: {name} " + (f"is called {renamed[name]}" if name in renamed else "is lost")
            for name in signature["lost"]
        ]
    return remarks


def _print_outputs(console: Console, rows: list[Data]) -> None:
    """Print the largest absolute errors: one row per output, one column per runtime that loads."""
    columns = [row for row in rows if row["loads"]]
    errors: dict[tuple[str, str], dict[str, str]] = {}
    for row in columns:
        for signature in row["signatures"]:
            for diff in signature["outputs"]:
                mark = "" if diff["passed"] else " WRONG"
                errors.setdefault((signature["name"], diff["name"]), {})[row["runtime"]] = (
                    number(diff["max_abs"]) + mark
                )
            for name in signature["lost"]:
                errors.setdefault((signature["name"], name), {})[row["runtime"]] = "lost"
    console.print()
    places = sorted(errors, key=lambda place: (place[0], computation_order(place[1])))
    heads = ("signature", "output", *(row["runtime"] for row in columns))
    cells = ((*place, *(errors[place].get(row["runtime"], "") for row in columns)) for place in places)
    table_of(console, heads, cells)
