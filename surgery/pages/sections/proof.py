"""The proof that an export is the same function: the differences and errors of every output, by block."""

from __future__ import annotations

from typing import Any

from surgery.explanation.outputs import EMBEDDING
from surgery.module import DEFAULT_SIGNATURE
from surgery.pages.section import Data, Documents, Section
from surgery.pages.sections.facts import parity, unproven
from surgery.plain import size_of
from surgery.proof.parity import of_rms

OTHER, TRAINING = "other signatures and calls", "training"


def view(documents: Documents) -> Data | None:
    """One row per output, and one per block with the largest of each."""
    report = parity(documents)
    if report is None:
        return None
    rows = [_row(output, report) for output in report["outputs"]]
    at: dict[str, list[Data]] = {}
    for row in rows:
        at.setdefault(row["at"], []).append(row)
    return {
        "parity": {"nonfinite_weights": None, "formulas": None, **report},
        "bounds": report.get("bounds"),
        "rows": rows,
        "places": [{"at": place, **_largest(members)} for place, members in _ordered(at)],
        "failed": [row for row in rows if not row["passed"]],
        "unproven": unproven(documents),
        "nonfinite": [row for row in rows if row["nonfinite"] not in (None, [0, 0])],
        "padding": max(
            (row for row in rows if row["padding_rows"] is not None), key=lambda row: row["padding_rows"], default=None
        ),
    }


def _row(output: Data, report: Data) -> Data:
    name, rms = output["name"], output["rms"]
    owner, _, tail = name.rpartition(".")
    block = (report.get("blocks") or {}).get(name)
    module, export = (of_rms(output[key], rms) for key in ("module_error", "export_error"))
    return {
        **{"bit_equal": None, "nonfinite": None, "padding_rows": None},
        **output,
        "at": tail if block is None else f"block {block}",
        "block": block,
        "kind": TRAINING if "training=True" in owner else OTHER if owner else DEFAULT_SIGNATURE,
        "module": module,
        "export": export,
        "bound": _bound(output, report.get("bounds")),
        "inside": name in report["inner"],
    }


def _bound(output: Data, bounds: Data | None) -> float | None:
    """The bound of the export's error, relative to the RMS; None for an output that was not judged by it.

    surgery.proof.comparison judges by it what was compared in double precision, and nothing else.
    """
    if bounds is None or output["module_error"] is None or not output["in_double"]:
        return None
    rms = output["rms"] or 0.0
    return of_rms(bounds["error_factor"] * output["module_error"] + bounds["error_of_rms"] * rms, rms)


def _ordered(at: dict[str, list[Data]]) -> list[tuple[str, list[Data]]]:
    """The places in the order of computation: what comes before the first block, the blocks, then all else as it comes.

    The outputs of a report are in that order. MobileBERT's list of block outputs begins with what enters block 0.
    """
    numbers = [rows[0]["block"] for rows in at.values()]
    before = next((count for count, number in enumerate(numbers) if number is not None), 0)

    def place(item: tuple[int, tuple[str, list[Data]]]) -> tuple[int, int]:
        count, (name, rows) = item
        block = rows[0]["block"]
        if block is not None:
            return (1, block)
        return (0 if name == EMBEDDING or count < before else 2, count)

    return [found for _, found in sorted(enumerate(at.items()), key=place)]


def _largest(rows: list[Data]) -> dict[str, Any]:
    in_double = [row for row in rows if row["in_double"]]
    known = [row for row in rows if row["export"] is not None]
    worst = max(known, key=lambda row: row["export"], default=None)
    return {
        "outputs": len(rows),
        "difference": max((row["difference"] for row in in_double), key=size_of, default=0.0) if in_double else 0.0,
        "in_double": len(in_double),
        "module": None if worst is None else worst["module"],
        "export": None if worst is None else worst["export"],
        "passed": all(row["passed"] for row in rows),
    }


PROOF = Section(name="proof", title="Is it the same function?", view=view, scripts=("charts.js",), charts=True)
