"""The times of the inference benchmark as a grid: a row per side, and a column per size of requests."""

import dataclasses
import statistics
from collections.abc import Iterable, Mapping

from scripts.tools.benchmark.comparison import Comparison
from scripts.tools.benchmark.inference import EFFORTS, TOPIC
from scripts.tools.benchmark.programs.inputs import FULL, HALF, Case
from scripts.tools.benchmark.sides import SIDES, SOURCE

FILLS = (FULL, HALF)
SHAPES = tuple(Case(rows, length, FULL).shape for rows, length in EFFORTS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
    """The time of a side.

    Attributes:
        median: Its median.
        ratio: Its ratio to the source's: the median of the turns' ratios.
    """

    median: float
    ratio: float


Grid = Mapping[str, Mapping[str, Cell]]
"""Cells by the side's name and by the column: "8 x 128, full", "load" or "memory"."""


def make_grid(comparisons: Iterable[Comparison]) -> Grid:
    """Return the cells of all sides that were measured, in the order of SIDES."""
    found: dict[str, dict[str, Cell]] = {side.name: {} for side in SIDES}
    for row in comparisons:
        if row.topic == TOPIC and row.reference == SOURCE:
            found[row.subject][row.quantity] = Cell(median=row.subject_median, ratio=row.ratio)
            found[SOURCE][row.quantity] = Cell(median=statistics.median(row.reference_samples), ratio=1.0)
    return {name: cells for name, cells in found.items() if cells}
