"""Report of a page that was written: its file, what it is about, and its sections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from surgery.reports.page import Data, Whole, facts, lines

if TYPE_CHECKING:
    from surgery.jobs.report import HtmlReport

SCHEMA = 1


def data(report: HtmlReport) -> Data:
    """The page's file and size, its sections, and the commands whose JSON it has inside."""
    return {
        "page": str(report.page),
        "bytes": report.bytes,
        "name": report.name,
        "sections": list(report.sections),
        "documents": list(report.documents),
    }


def text(console: Console, data: Data) -> None:
    """What the page has, and where it is."""
    facts(console, [("page about", Whole(data["name"])), ("sections", ", ".join(data["sections"]))])
    lines(console, [f"wrote {data['page']}"])
