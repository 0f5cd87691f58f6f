"""A page about a module or an export: the JSON of the commands that read it, drawn as one HTML file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from surgery.explanation.inspection import explain_module
from surgery.pages.rendering import render
from surgery.pages.section import Data
from surgery.pages.sections import MODULE
from surgery.pages.writing import check_page, write_page
from surgery.progress import Progress, silent
from surgery.results import Result
from surgery.scanning.scan import scan_files
from surgery.sources import inspect_folder, well_formed
from surgery.sources.location import locate, module_name
from surgery.sources.output_names import name_outputs
from surgery.wording import plain_name

LENGTH = 128
"""Tokens of a row of the replies whose size a page shows."""


@dataclass(frozen=True, kw_only=True, repr=False)
class HtmlReport(Result, report="html_report"):
    """A page that was written.

    Attributes:
        page: Its file.
        bytes: Its size.
        name: The name of the module or export that it is about.
        sections: The headings of its sections.
        documents: The JSON of the commands that it is drawn from, by command.
    """

    page: Path
    bytes: int
    name: str
    sections: tuple[str, ...]
    documents: Mapping[str, Data]


def report_module(
    module: str,
    page: Path | None = None,
    *,
    assume: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> HtmlReport:
    """Writes a page about a module or an export. Needs no TensorFlow, and runs nothing.

    Raises a SurgeryError that names the cause; the file is then as it was before.
    """
    page = page or Path(f"{plain_name(module_name(module)) or 'module'}.html")
    check_page(page, [module], overwrite=overwrite)
    return write_report(documents_of(module, assume), page)


def write_report(documents: Mapping[str, Data], page: Path) -> HtmlReport:
    """Writes the page of these documents."""
    name = documents["inspect"]["name"]
    kind = "export" if "manifest" in documents else documents["inspect"]["format"]
    html = render(title=name, kind=kind, sections=MODULE, documents=documents)
    write_page(html, page)
    return HtmlReport(
        page=page,
        bytes=len(html.encode()),
        name=name,
        sections=tuple(section.title for section in MODULE),
        documents=documents,
    )


def documents_of(module: str, assume: Mapping[str, Any] | None = None) -> dict[str, Data]:
    """The JSON of the commands that read a module or an export and run nothing, by command.

    Where a command fails, its document says why. The manifest of an export is a document, too.
    """
    with locate(module, with_weights=False) as files:
        with well_formed(files.name):
            inspected = name_outputs(inspect_folder(files))
        inspection = explain_module(inspected, assume)
        found = {
            "inspect": inspection.to_dict(variables=True),
            "scan": scan_files(files).to_dict(),
        }
    return found
