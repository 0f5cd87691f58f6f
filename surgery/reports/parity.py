"""Report of a comparison: the error of each output, the weights, the contract, and the verdict."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from surgery.explanation.outputs import split_entry
from surgery.proof.parity import ParityReport, report_data
from surgery.reports.page import Data, table_of, title
from surgery.wording import number


def data(report: ParityReport) -> Data:
    """Every comparison, and the verdict."""
    return report_data(report)


def text(console: Console, data: Data) -> None:
    """One row per output with its errors; then weights, contract and verdict."""
    comparison(console, data)
    verdict(console, "the same function" if data["passed"] else "NOT the same function", passed=data["passed"])


def verdict(console: Console, words: str, *, passed: bool) -> None:
    """The last line of a comparison."""
    console.print(Text(f"verdict: {words}", style="bold green" if passed else "bold red"))


def comparison(console: Console, data: Data) -> None:
    """The whole report except its last line, the verdict."""
    title(console, f"Parity on {data['batches']} batches, against {data['reference']}")
    inner = set(data["inner"])
    rows = []
    for diff in _by_tap(data["outputs"], inner):
        outcome = "bit-equal" if diff["bit_equal"] else "passed" if diff["passed"] else diff["problem"] or "FAILED"
        padding = "" if diff["padding_rows"] is None else f"{diff['padding_rows']:.2g}"
        bad = "" if diff["nonfinite"] == [0, 0] else "{}/{}".format(*diff["nonfinite"])
        mark = "*" if diff["first"] in inner else ""
        name = f"{diff['name']}{mark}"
        rows.append((name, number(diff["max_abs"]), number(diff["relative"]), padding, bad, outcome))
    table_of(console, ("output", "max abs", "of RMS", "padding rows", "NaN", "verdict"), rows)
    if inner:
        console.print("* not returned by the module's call: compared with the tensors inside its own graph")
    if data["unmatched"]:
        unmatched = ", ".join(data["unmatched"])
        console.print(Text(f"not compared, the module's graph shows no counterpart: {unmatched}", style="yellow"))
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


def _by_tap(diffs: list[Data], inner: set[str]) -> list[Data]:
    """One row per output. The outputs of one tap share a row if all passed and all were compared with the same source.

    The key `first` is the name of the row's first output. It is in `inner` if all outputs of the row are.
    """
    groups: dict[tuple[str, bool], list[Data]] = {}
    for diff in diffs:
        entry = split_entry(diff["name"])
        stem = entry[0] if entry is not None and "." in entry[0] and diff["passed"] else diff["name"]
        groups.setdefault((stem, diff["name"] in inner), []).append(diff)
    rows = []
    for (stem, _), members in groups.items():
        first, last = members[0], members[-1]
        name = first["name"] if len(members) == 1 else f"{stem}_{{{_blocks(members)}}}"
        padding = [diff["padding_rows"] for diff in members if diff["padding_rows"] is not None]
        row = {
            "name": name,
            "first": first["name"],
            "bit_equal": all(diff["bit_equal"] for diff in members),
            "max_abs": max((diff["max_abs"] for diff in members), key=_size_of_error),
            "relative": max((diff["relative"] for diff in members), key=_size_of_error),
            "padding_rows": max(padding, default=None),
        }
        rows.append({**last, **row})
    return rows


def _blocks(members: list[Data]) -> str:
    numbers = [entry[1] for diff in members if (entry := split_entry(diff["name"])) is not None]
    whole = numbers == list(range(numbers[0], numbers[-1] + 1)) and len(numbers) > 2
    return f"{numbers[0]}..{numbers[-1]}" if whole else ",".join(map(str, numbers))


def _size_of_error(value: float | None) -> float:
    return float("inf") if value is None else value
