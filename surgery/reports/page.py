"""Draws on a terminal: titles, facts and tables that fit its width, and lines that are never folded.

Lines are folded between words only. A name that people copy stays whole, even where it is wider than the terminal: the
terminal shows it on two lines then, and copies it as one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

Data = dict[str, Any]
"""The facts of a report: made by its `data`, printed as JSON or by its `text`."""

GAP = 2
"""Blanks between two columns of a table."""
INDENT = 4
"""Blanks before the second line of a row whose cells do not fit beside one another, below a wide first column."""
NARROW = 12
"""Columns whose cells are at most so wide are not folded below their heading: they have sizes and short names."""
LEAST = 16
"""The least room for a last column that is folded beside the others."""
WORD = re.compile(r"\S* ?\[[^\[\]]*\]\S*|\S+\([^()]*\)\S*|\S+")
"""A word, a type such as `float32 [?, 4, ?, ?]`, or a call such as `mlm(dict, training=True)`."""


class Page(Console):
    """A console that folds prose between words, and never inside one."""

    def print(self, *objects: Any, **options: Any) -> None:
        """As rich's, which would fold a word that is wider than the page. Lines of `out` come with `no_wrap`."""
        if (
            options.get("soft_wrap")
            or options.get("no_wrap")
            or len(objects) != 1
            or not isinstance(objects[0], str | Text)
        ):
            super().print(*objects, **options)
            return
        prose = objects[0]
        if isinstance(prose, str):
            prose = self.render_str(prose, markup=options.pop("markup", None))
        for line in prose.split(allow_blank=True):
            for part in line.divide(_folds(line.plain, self.width)):
                part.rstrip()
                super().print(part, soft_wrap=True, **options)


class Whole(str):
    """A cell that is never folded, not even at its blanks: a path, or a name from a file."""


def title(console: Console, text: str) -> None:
    """Prints a heading after an empty line."""
    console.print()
    console.print(Text(text, style="bold"))


def facts(console: Console, rows: Sequence[tuple[str, str]]) -> None:
    """Prints names and values in two columns."""
    _print_rows(console, [(Whole(name), value) for name, value in rows], styles=("dim", ""))


def table_of(console: Console, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Prints a table with a heading for each column.

    A table that is too wide gets several lines per row: cells are folded between words, and columns for which there is
    no room go to lines of their own.
    """
    _print_rows(console, [heads, *rows], head_style="dim")


def lines(console: Console, texts: Iterable[str], style: str | None = None) -> None:
    """Prints lines as they are, whatever the width of the terminal."""
    for text in texts:
        console.out(text, style=style, highlight=False)


def aligned(rows: Iterable[Sequence[str]]) -> list[str]:
    """One line per row, with columns of equal width."""
    table = list(rows)
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]


def _print_rows(
    console: Console, rows: Sequence[Sequence[str]], *, head_style: str = "", styles: Sequence[str] = ()
) -> None:
    if not rows:
        return
    natural = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    longest = [_least_width(column, headed=bool(head_style)) for column in zip(*rows, strict=True)]
    room = console.width - sum(natural[:-1]) - GAP * (len(natural) - 1)
    if room >= min(LEAST, natural[-1]):
        # The last column fits beside the others, except in the rows in which a word of it is too long.
        longest = [*natural[:-1], min(longest[-1], room)]
    # The second lines of rows stand behind a narrow first column, so that it stands out.
    indent = longest[0] + GAP if longest[0] <= 2 * INDENT else INDENT
    groups = _groups(longest, console.width, indent)
    widths = _widths(longest, natural, groups, console.width, indent)
    for number, row in enumerate(rows):
        style = [head_style] * len(row) if number == 0 and head_style else styles or [""] * len(row)
        for line in _row_lines(row, groups, widths, style, console.width, indent):
            console.print(line, soft_wrap=True)


def _least_width(column: Sequence[str], *, headed: bool) -> int:
    """The least width of a column: its longest word, or its longest cell where all of them are short."""
    heads, cells = (column[:1], column[1:]) if headed else ((), column)
    widest = max(map(cell_len, cells), default=0)
    return max([widest if widest <= NARROW else max(map(_longest_word, cells)), *map(_longest_word, heads)])


def _groups(longest: Sequence[int], width: int, indent: int) -> list[list[int]]:
    """The columns that stand beside one another, by line: as many as fit with their longest words."""
    groups: list[list[int]] = [[]]
    end = 0
    for column, needed in enumerate(longest):
        if groups[-1] and end + needed > width:
            groups.append([])
            end = indent
        groups[-1].append(column)
        end += needed + GAP
    return groups


def _widths(
    longest: Sequence[int], natural: Sequence[int], groups: list[list[int]], width: int, indent: int
) -> list[int]:
    """The width of each column: the widest columns are made narrower until the lines fit, down to the longest word."""
    widths = list(natural)
    for number, group in enumerate(groups):
        room = width - (indent if number else 0) - GAP * (len(group) - 1)
        while sum(widths[column] for column in group) > room:
            narrower = [column for column in group if widths[column] > min(longest[column], room)]
            if not narrower:
                break
            widths[max(narrower, key=lambda column: widths[column])] -= 1
    return widths


def _row_lines(
    row: Sequence[str],
    groups: list[list[int]],
    widths: Sequence[int],
    styles: Sequence[str],
    width: int,
    indent: int,
) -> Iterable[Text]:
    """The lines of one row, without trailing blanks."""
    for number, group in enumerate(groups):
        last = group[-1]
        below = len(group) > 1 and _longest_word(row[last]) > widths[last]
        beside = group[:-1] if below else group
        cells = [_folded(row[column], widths[column]) for column in beside]
        for line in range(max(map(len, cells))):
            text = Text(" " * indent if number else "")
            for column, cell in zip(beside, cells, strict=True):
                words = cell[line] if line < len(cell) else ""
                text.append(words, styles[column])
                text.append(" " * (widths[column] - cell_len(words) + GAP))
            text.rstrip()
            yield text
        if below:
            for words in _folded(row[last], width - indent):
                yield Text(" " * indent).append(words, styles[last])


def _words(cell: str) -> list[str]:
    return [cell] if isinstance(cell, Whole) else WORD.findall(cell)


def _longest_word(cell: str) -> int:
    return max(map(cell_len, _words(cell)), default=0)


def _folded(cell: str, width: int) -> list[str]:
    """A cell's lines, folded between words. A word that is wider is a line of its own."""
    if cell_len(cell) <= width:
        return [cell]
    found: list[str] = []
    for word in _words(cell):
        if found and cell_len(found[-1]) + 1 + cell_len(word) <= width:
            found[-1] += f" {word}"
        else:
            found.append(word)
    return found


def _folds(line: str, width: int) -> list[int]:
    """The places of a line at which the next word would pass the width."""
    found: list[int] = []
    begin = 0
    for word in re.finditer(r"\S+", line):
        if word.start() > begin and cell_len(line[begin : word.end()]) > width:
            begin = word.start()
            found.append(begin)
    return found
