"""Draws on a terminal: titles, facts and tables that fit its width, and lines that are never folded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

Data = dict[str, Any]
"""The facts of a report: made by its `data`, printed as JSON or by its `text`."""


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
