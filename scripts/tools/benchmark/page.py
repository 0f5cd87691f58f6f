"""The inference benchmark as a section of a Markdown page, with its plot in a file beside it."""

import datetime
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

from scripts.tools.benchmark.comparison import Comparison
from scripts.tools.benchmark.grid import FILLS, SHAPES, Cell, Grid, make_grid
from scripts.tools.benchmark.machine import one_line
from scripts.tools.benchmark.plot import draw
from scripts.tools.benchmark.sides import SIDES

BEGIN, END = "<!-- scripts/benchmark --page: begin -->", "<!-- scripts/benchmark --page: end -->"
PLOT = pathlib.Path("assets") / "inference.svg"


def update(page: pathlib.Path, comparisons: Iterable[Comparison], machine: dict[str, Any], size: str) -> None:
    """Replace the section between BEGIN and END in a page, and write the plot. Raises SystemExit without such lines."""
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise SystemExit(f"writing {page}: expected the lines {BEGIN} and {END}")
    grid = make_grid(comparisons)
    made = section(grid, machine, size, datetime.date.today())
    page.write_text(f"{before}{begin}\n{made}{end}{after}", encoding="utf-8")
    plot = page.parent / PLOT
    plot.parent.mkdir(exist_ok=True)
    plot.write_text(draw(grid, f"BERT {size} on {machine['cpu']}, {machine['cores']} cores"), encoding="utf-8")


def section(grid: Grid, machine: dict[str, Any], size: str, day: datetime.date) -> str:
    """Return the section: the machine, the plot, a table for each fill, one for load and memory, and the legend."""
    option = "" if size == "base" else " --small"
    lines = [f"`scripts/benchmark --only inference{option}` on {day.isoformat()}: {one_line(machine)}.", ""]
    lines += [f"![Times by runtime and size of requests, relative to the source]({PLOT.as_posix()})", ""]
    for fill in FILLS:
        columns = [f"{shape}, {fill}" for shape in SHAPES]
        lines += table(grid, [f"{fill}, ms (ratio)", *SHAPES], columns, "ms")
    lines += table(grid, ["once per process", "load, s (ratio)", "peak memory, MiB (ratio)"], ["load", "memory"], "")
    about = {side.name: side.about for side in SIDES}
    lines += [f"- **{name}**: {about[name]}." for name in grid]
    return "\n".join(lines) + "\n"


def table(grid: Grid, heads: Sequence[str], columns: Sequence[str], unit: str) -> list[str]:
    """Return a table with a row for each side that has one of the columns, and an empty line."""
    rows = [
        f"| {name} | " + " | ".join(shown(cells.get(column), unit) for column in columns) + " |"
        for name, cells in grid.items()
        if any(column in cells for column in columns)
    ]
    return ["| " + " | ".join(heads) + " |", "|---|" + "---|" * len(columns), *rows, ""]


def shown(cell: Cell | None, unit: str) -> str:
    """Return a cell's text: its median and, in brackets, its ratio to the source."""
    if cell is None:
        return ""
    digits = 0 if cell.median >= 100 else 1 if unit == "ms" else 2
    return f"{cell.median:.{digits}f} ({cell.ratio:.2f})"
