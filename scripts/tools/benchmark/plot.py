"""Draws the inference benchmark as an SVG: bars by size of requests, each relative to the source.

The drawing is plain rectangles and text. It follows the reader's light or dark scheme, and needs no font of its own.
"""

from html import escape

from scripts.tools.benchmark.grid import FILLS, SHAPES, Cell, Grid
from scripts.tools.benchmark.sides import FUSED, HAND_WRITTEN, MATMULS, MEAN, MODEL_GARDEN, POOLED, SOURCE, SOURCE_AGAIN

LABELS, COLUMN, BAR, ROW, HEAD, GAP = 250, 178, 84, 19, 50, 26
"""Widths of the labels, of a column and of the source's bar; heights of a row, of a section's head, and below it."""
MOST = 1.4
"""The longest bar that is drawn, as a ratio. A longer one is cut, and an arrow says so."""
KINDS = {
    SOURCE: "source",
    SOURCE_AGAIN: "source",
    HAND_WRITTEN: "source",
    MODEL_GARDEN: "own",
    FUSED: "own",
    POOLED: "own",
    MEAN: "own",
    MATMULS: "floor",
}
STYLE = """
.page { fill: #ffffff; }
text { font: 12px system-ui, sans-serif; fill: #24292f; }
.head { font-weight: 600; } .small { font-size: 11px; }
.source { fill: #8c959f; } .own { fill: #0f8b8d; } .other { fill: #c4741a; }
.floor { fill: none; stroke: #8c959f; } .one { stroke: #8c959f; stroke-dasharray: 2 3; }
@media (prefers-color-scheme: dark) {
  .page { fill: #1d232a; }
  text { fill: #d6dde4; } .source { fill: #6b7681; } .own { fill: #35b5b0; } .other { fill: #e39a4a; }
  .floor, .one { stroke: #8c959f; }
}
"""


def draw(grid: Grid, title: str) -> str:
    """Return the drawing: a section for each fill, in it a row for each side, and a column for each size."""
    parts: list[str] = []
    top = 34
    for fill in FILLS:
        columns = {shape: f"{shape}, {fill}" for shape in SHAPES}
        names = [name for name, cells in grid.items() if any(column in cells for column in columns.values())]
        parts.append(text(0, top + 14, fill, "head"))
        for number, (shape, column) in enumerate(columns.items()):
            left = LABELS + number * COLUMN
            bottom = top + HEAD + len(names) * ROW
            parts.append(text(left, top + 36, shape, "head"))
            parts.append(f'<line class="one" x1="{left + BAR}" y1="{top + HEAD - 8}" x2="{left + BAR}" y2="{bottom}"/>')
            for row, name in enumerate(names):
                if (cell := grid[name].get(column)) is not None:
                    parts += bar(left, top + HEAD + row * ROW, cell, KINDS.get(name, "other"))
        parts += [text(0, top + HEAD + row * ROW + 11, name) for row, name in enumerate(names)]
        top += HEAD + len(names) * ROW + GAP
    width = LABELS + len(SHAPES) * COLUMN
    caption = f"{title}: time of a request, in milliseconds; the dashed line is the source's"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-12 -6 {width + 24} {top}" role="img">\n'
        f"<title>{escape(caption)}</title>\n<style>{STYLE}</style>\n"
        + f'<rect class="page" x="-12" y="-6" width="{width + 24}" height="{top}"/>\n'
        + "\n".join([text(0, 14, caption, "head"), *parts])
        + "\n</svg>\n"
    )


def bar(left: float, top: float, cell: Cell, kind: str) -> list[str]:
    """Return a bar and its number."""
    length = BAR * min(cell.ratio, MOST)
    arrow = "→ " if cell.ratio > MOST else ""
    number = f"{cell.median:.0f}" if cell.median >= 100 else f"{cell.median:.1f}"
    return [
        f'<rect class="{kind}" x="{left}" y="{top}" width="{length:.1f}" height="{ROW - 6}"/>',
        text(left + length + 4, top + 11, f"{arrow}{number}", "small"),
    ]


def text(x: float, y: float, words: str, kind: str = "") -> str:
    """Return a line of text."""
    own = f' class="{kind}"' if kind else ""
    return f'<text{own} x="{x:.1f}" y="{y:.1f}">{escape(words)}</text>'
