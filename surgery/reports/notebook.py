"""A report as HTML for a notebook: what it prints on a terminal, in colours for light and dark notebooks."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

from rich.console import Console
from rich.terminal_theme import TerminalTheme

from surgery.reports.page import Data, Page
from surgery.wording import all_shown

WIDTH = 110
LINES = 400
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


class Screen(io.StringIO):
    """A file that says it is a terminal, so that a report shows what it shows to people."""

    def isatty(self) -> bool:
        """True."""
        return True


def as_html(text: Callable[[Console, Data], None], data: Data) -> str:
    """What a report prints on a terminal, as HTML for a notebook. All names in it are escaped."""
    console = Page(
        file=Screen(), record=True, width=WIDTH, highlight=False, emoji=False, force_jupyter=False, no_color=False
    )
    text(console, all_shown(data))
    html = console.export_html(theme=ON_ANY_GROUND, code_format="{code}", inline_styles=True)
    rows = [re.sub(r" +(</span>)?$", r"\1", row) for row in html.strip("\n").split("\n")]
    shown = "\n".join(rows[:LINES])
    if len(rows) > LINES:
        shown += "</span>" * (shown.count("<span") - shown.count("</span>"))
        shown += f"\n… and {len(rows) - LINES:,} more lines; .to_dict() has everything"
    return PRE.format(code=shown)
