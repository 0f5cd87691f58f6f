"""Report of a comparison: the error of each output, the weights, the contract, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.text import Text

from surgery.explanation.outputs import split_entry
from surgery.plain import size_of
from surgery.proof.parity import (
    ERROR_FACTOR,
    LISTED,
    MAX_DIFFERENCE,
    ROUNDING,
    ROUNDINGS,
    ParityReport,
    of_rms,
    report_data,
)
from surgery.reports.page import Data, table_of, title
from surgery.wording import number

SCHEMA = 1


def data(report: ParityReport) -> Data:
    """Every comparison, and the verdict."""
    return report_data(report)


def text(console: Console, data: Data) -> None:
    """One row per output with its errors; then weights, contract and verdict."""
    comparison(console, data)
    same = "the same function" + (", in all that can be compared" if data["unmatched"] else "")
    verdict(console, same if data["passed"] else "NOT the same function", passed=data["passed"])


def verdict(console: Console, words: str, *, passed: bool) -> None:
    """The last line of a comparison."""
    console.print(Text(f"verdict: {words}", style="bold green" if passed else "bold red"))


def comparison(console: Console, data: Data) -> None:
    """The whole report except its last line, the verdict."""
    title(console, f"Parity on {data['batches']} batches, against {data['reference']}")
    inner = set(data["inner"])
    nonfinite = any(diff["nonfinite"] != [0, 0] for diff in data["outputs"])
    rows = []
    for diff in _by_tap(data["outputs"], inner):
        row = [
            f"{diff['name']}{'*' if diff['first'] in inner else ''}",
            number(diff["difference"]) if diff["in_double"] else "-",
            _part(diff["module_error"], diff["rms"]),
            _part(diff["export_error"], diff["rms"]),
            {True: "yes", False: "no", None: ""}[diff["bit_equal"]],
        ]
        if nonfinite:
            row.append("" if diff["nonfinite"] == [0, 0] else "{}/{}".format(*diff["nonfinite"]))
        rows.append((*row, "passed" if diff["passed"] else diff["problem"] or "FAILED"))
    columns = ["output", "in float64", "module", "export", "bit-equal"]
    columns += ["NaN"] * nonfinite + ["verdict"]
    table_of(console, columns, rows)
    if inner:
        console.print("* not returned by the module's call: compared with the tensors inside its own graph")
    if data["unmatched"]:
        unmatched = ", ".join(data["unmatched"])
        console.print(Text(f"not compared, the module's graph shows no counterpart: {unmatched}", style="yellow"))
    for ops, names in _by_operations(data["lacking"]).items():
        line = f"judged in float32 only, there is no double precision for {ops}: {', '.join(names)}"
        console.print(Text(line, style="yellow"))
    weights = data["weights"]
    equal = weights["compared"] - len(weights["mismatches"])
    console.print(f"weights: {max(equal, 0)} of {weights['compared']} bit-equal to the module's in the reloaded export")
    for name, count in data["nonfinite_weights"].items():
        console.print(Text(f"  {name}: {count} of its values are NaN or infinite, in the module too", style="yellow"))
    for listed, noun in ((weights["mismatches"], "weights"), (data["contract"], "differences")):
        for line in listed[:LISTED]:
            console.print(Text(f"  {line}", style="red"))
        if len(listed) > LISTED:
            console.print(Text(f"  … and {len(listed) - LISTED} more {noun}: --json has them all", style="red"))
    console.print(
        f"in float64: largest difference in double precision, of the output's RMS; at most {MAX_DIFFERENCE:g}"
    )
    console.print(
        f"module, export: error in float32 on {data['float32_batches']} batches, of the RMS; the export's is at most "
        f"{ERROR_FACTOR} x the module's + {ROUNDINGS * ROUNDING:.1g}"
    )
    if data["formulas"]:
        console.print(f"exact in double precision, as each is a rounding in the graphs: {', '.join(data['formulas'])}")
    padded = [diff for diff in data["outputs"] if diff["padding_rows"] is not None]
    if padded:
        most = max(padded, key=lambda diff: diff["padding_rows"])
        console.print(
            f"rows of nothing but padding, not judged: largest difference {number(most['padding_rows'])}, "
            f"in {most['name']}"
        )


def _part(error: float | None, rms: float) -> str:
    """A float32 error as a part of the output's RMS."""
    return "" if error is None else number(of_rms(error, rms))


def _by_operations(lacking: Mapping[str, list[str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, ops in lacking.items():
        found.setdefault(", ".join(ops), []).append(name)
    return found


def _by_tap(diffs: list[Data], inner: set[str]) -> list[Data]:
    """One row per output. The outputs of one tap share a row if all passed and all were compared with the same source.

    The key `first` is the name of the row's first output. It is in `inner` if all outputs of the row are.
    """
    groups: dict[tuple[str, bool], list[Data]] = {}
    for diff in diffs:
        stem = _row_of(diff["name"]) if diff["passed"] else diff["name"]
        groups.setdefault((stem, diff["name"] in inner), []).append(diff)
    rows = []
    for (stem, _), members in groups.items():
        first, last = members[0], members[-1]
        shared = stem.replace("{}", f"{{{_blocks(members)}}}") if "{}" in stem else stem
        name = first["name"] if len(members) == 1 else shared
        row = {
            "name": name,
            "first": first["name"],
            "in_double": all(diff["in_double"] for diff in members),
            "bit_equal": _all_equal([diff["bit_equal"] for diff in members]),
            "difference": max((diff["difference"] for diff in members), key=size_of),
            **_worst_errors(members),
        }
        rows.append({**last, **row})
    return rows


def _row_of(name: str) -> str:
    """The name of the row that an output shares with others: its tap's in all blocks, or that of a training trace."""
    owner, _, _ = name.rpartition(".")
    entry = split_entry(name)
    if "training=True" in owner:
        return f"{owner}.*"
    return f"{entry[0]}_{{}}" if entry is not None and "." in entry[0] else name


def _blocks(members: list[Data]) -> str:
    numbers = [entry[1] for diff in members if (entry := split_entry(diff["name"])) is not None]
    whole = numbers == list(range(numbers[0], numbers[-1] + 1)) and len(numbers) > 2
    return f"{numbers[0]}..{numbers[-1]}" if whole else ",".join(map(str, numbers))


def _all_equal(answers: list[bool | None]) -> bool | None:
    known = [answer for answer in answers if answer is not None]
    return all(known) if known else None


def _worst_errors(members: list[Data]) -> Data:
    """The errors of the member whose export has the largest, relative to its RMS."""
    known = [diff for diff in members if diff["export_error"] is not None]
    worst = max(known, key=lambda diff: diff["export_error"] / (diff["rms"] or 1.0), default=members[-1])
    return {key: worst[key] for key in ("module_error", "export_error", "rms")}
