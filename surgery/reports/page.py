"""Draws on a terminal: titles, facts and tables that fit its width, and lines that are never folded."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from surgery.wording import all_shown

Data = dict[str, Any]
"""The facts of a report: made by its `data`, printed as JSON or by its `text`."""

HTML_WIDTH = 110
HTML_LINES = 400
"""Lines of a report that a notebook shows: a graph can have thousands of tensors."""
ON_ANY_GROUND = TerminalTheme(
    (255, 255, 255),
    (0, 0, 0),
    [
        (0, 0, 0),
        (209, 52, 56),
        (34, 139, 58),
        (176, 121, 0),
        (60, 120, 216),
        (160, 80, 170),
        (0, 140, 140),
        (127, 127, 127),
    ],
)
"""Colours that can be read on white and on black: a notebook is light or dark. Other text has its own."""
PRE = (
    '<pre style="white-space: pre; overflow-x: auto; line-height: normal; background: transparent; color: inherit; '
    "font-family: Menlo, 'DejaVu Sans Mono', Consolas, 'Courier New', monospace\">{code}</pre>"
)


def title(console: Console, text: str) -> None:
    """Prints a heading after an empty line."""
    console.print()
    console.print(Text(text, style="bold"))


def facts(console: Console, rows: list[tuple[str, str]]) -> None:
    """Prints names and values in two columns. A long value is folded."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    console.print(table)


def table_of(console: Console, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Prints a table with a heading for each column. Long cells are folded."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    console.print(table)


def lines(console: Console, texts: Iterable[str], style: str | None = None) -> None:
    """Prints lines as they are, whatever the width of the terminal."""
    for text in texts:
        console.out(text, style=style, highlight=False)


def aligned(rows: Iterable[Sequence[str]]) -> list[str]:
    """One line per row, with columns of equal width."""
    table = list(rows)
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]


class Screen(io.StringIO):
    """A file that says it is a terminal, so that a report shows what it shows to people."""

    def isatty(self) -> bool:
        """True."""
        return True


def as_html(text: Callable[[Console, Data], None], data: Data) -> str:
    """What a report prints on a terminal, as HTML for a notebook. All names in it are escaped."""
    console = Console(
        file=Screen(), record=True, width=HTML_WIDTH, highlight=False, emoji=False, force_jupyter=False, no_color=False
    )
    text(console, all_shown(data))
    html = console.export_html(theme=ON_ANY_GROUND, code_format="{code}", inline_styles=True)
    rows = [re.sub(r" +(</span>)?$", r"\1", row) for row in html.strip("\n").split("\n")]
    shown = "\n".join(rows[:HTML_LINES])
    if len(rows) > HTML_LINES:
        shown += "</span>" * (shown.count("<span") - shown.count("</span>"))
        shown += f"\n… and {len(rows) - HTML_LINES:,} more lines; .to_dict() has everything"
    return PRE.format(code=shown)
