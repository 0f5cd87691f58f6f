"""Show the comparisons: as a table, and as JSON."""

import json
import pathlib
from typing import Any

from rich.console import Console
from rich.table import Table

from scripts.tools.benchmark.comparison import Comparison
from scripts.tools.benchmark.machine import one_line
from scripts.tools.benchmark.targets import targets_of


def figure(samples: list[float], median: float, unit: str) -> str:
    """Return a median and the range of its samples, all with the same number of digits."""
    digits = 3 if median < 10 else 1 if median < 1000 else 0
    text = f"{median:.{digits}f} {unit}"
    if len(samples) == 1:
        return text
    return f"{text} ({min(samples):.{digits}f} to {max(samples):.{digits}f})"


def print_table(comparisons: list[Comparison], machine: dict[str, Any], size: str) -> None:
    """Print the machine, and a table with one row per comparison."""
    table = Table(title=f"BERT {size}: medians, with the range of the samples")
    for heading in ("what", "subject", "measured", "reference", "measured", "ratio", "target", "reached"):
        table.add_column(heading, justify="right" if heading in ("measured", "ratio") else "left")
    previous = None
    for row in comparisons:
        if previous not in (None, row.topic):
            table.add_section()
        previous = row.topic
        targets = targets_of(row)
        table.add_row(
            f"{row.topic}: {row.quantity}",
            row.subject,
            figure(row.subject_samples, row.subject_median, row.unit),
            row.reference,
            figure(row.reference_samples, row.reference_median, row.unit),
            f"{row.ratio:.3f} x",
            "noise floor" if row.is_noise else "\n".join(target.text(row) for target in targets),
            "\n".join("yes" if target.is_reached(row) else "NO" for target in targets),
        )
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    console.print(one_line(machine), highlight=False, soft_wrap=True)
    console.print(table)
    if size != "base":
        console.print("The targets are meant for BERT base; here they only show the table's form.")


def write_json(path: pathlib.Path, comparisons: list[Comparison], machine: dict[str, Any], size: str) -> None:
    """Write all measurements, and their results against the targets."""
    document = {
        "machine": machine,
        "model": f"bert_{size}",
        "comparisons": [as_data(comparison) for comparison in comparisons],
    }
    path.write_text(json.dumps(document, indent=2) + "\n")


def as_data(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison with its raw samples, medians, ratio and targets."""
    return {
        "topic": comparison.topic,
        "quantity": comparison.quantity,
        "unit": comparison.unit,
        "noise_floor": comparison.is_noise,
        "subject": {
            "name": comparison.subject,
            "median": comparison.subject_median,
            "samples": comparison.subject_samples,
        },
        "reference": {
            "name": comparison.reference,
            "median": comparison.reference_median,
            "samples": comparison.reference_samples,
        },
        "ratio": comparison.ratio,
        "targets": [
            {
                "measure": target.measure,
                "bound": target.bound_of(comparison),
                "measured": target.measured(comparison),
                "reached": target.is_reached(comparison),
            }
            for target in targets_of(comparison)
        ],
    }
