"""A page about a module or an export: the JSON of the commands that read it, drawn as one HTML file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from surgery.errors import SurgeryError, UsageError
from surgery.explanation.inspection import explain_module
from surgery.export.manifest import MANIFEST
from surgery.export.publish import choose_destination
from surgery.export.statements import Statements, read_statements
from surgery.jobs.attention import attention_of
from surgery.jobs.serve import serve_export
from surgery.jobs.verify import Verification, verify_export
from surgery.pages import form
from surgery.pages.rendering import render, views_of
from surgery.pages.section import Data, found
from surgery.pages.sections import MODULE
from surgery.pages.writing import check_page, write_page
from surgery.plain import plain
from surgery.planning.plan import closed_plan, make_plan
from surgery.planning.tap_listing import TapListing
from surgery.progress import Progress, silent
from surgery.results import Result, document
from surgery.scanning.scan import scan_files
from surgery.sources import inspect_folder, well_formed
from surgery.sources.files import SAVED_MODEL
from surgery.sources.location import locate, module_name
from surgery.sources.output_names import name_outputs
from surgery.wording import plain_name

LENGTH = 128
"""Tokens of the reply whose bytes the document `taps` has, as the command's."""


@dataclass(frozen=True, kw_only=True, repr=False)
class HtmlReport(Result, report="report"):
    """A page that was written.

    Attributes:
        page: Its file.
        bytes: Its size.
        name: The name of the module or export that it is about.
        sections: The headings of its sections.
        documents: The JSON of the commands that it was drawn from, by command. An export's manifest is among them.
        verification: The comparison with the module, where it was asked for.
    """

    page: Path
    bytes: int
    name: str
    sections: tuple[str, ...]
    documents: Mapping[str, Data]
    verification: Verification | None = None


def report_module(
    module: str,
    page: Path | None = None,
    *,
    verify: str | None = None,
    text: str | None = None,
    trust: bool = False,
    assume: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> HtmlReport:
    """Writes a page about a module or an export. Needs no TensorFlow, and runs nothing, unless it is asked to.

    With `verify`, the export is compared with that module, and the page shows this comparison, passed or not. With
    `text`, the page shows the attention of that text.

    Raises a SurgeryError that names the cause; the file is then as it was before.
    """
    page = page or Path(f"{plain_name(module_name(module)) or 'module'}.html")
    check_page(page, [module, verify], overwrite=overwrite)
    documents = documents_of(module, None if verify is not None else assume)
    if text is not None:
        progress("compute the attention", 0, 0)
        documents["attention"] = attention_of(module, text, trust=trust)
    verification = None
    if verify is not None:
        verification = verify_export(verify, Path(module), trust=trust, assume=assume, progress=progress)
        documents |= {"verify": document(verification), "plan": document(verification.plan)}
    return replace(write_report(documents, page), verification=verification)


def write_report(documents: Mapping[str, Data], page: Path) -> HtmlReport:
    """Writes the page of these documents."""
    name = documents["inspect"]["name"]
    views = views_of(MODULE, documents)
    html = render(title=name, kind=_kind(documents), views=views, documents=documents)
    write_page(html, page)
    return HtmlReport(
        page=page,
        bytes=len(html.encode()),
        name=name,
        sections=tuple(section.title for section, _ in views),
        documents=documents,
    )


def _kind(documents: Mapping[str, Data]) -> str:
    """What a page is about, in a few words."""
    if (manifest := found(documents, "manifest")) is not None:
        return f"Export of {manifest['source']['name']}"
    return "Text export" if found(documents, "text manifest") else str(documents["inspect"]["format"])


def documents_of(module: str, assume: Mapping[str, Any] | None = None) -> dict[str, Data]:
    """The JSON of the commands that read a module or an export and run nothing, by command.

    The manifest of an export is a document, too. Where a command fails, its document says why, as on stderr.
    """
    with locate(module, with_weights=False) as files:
        with well_formed(files.name):
            inspected = name_outputs(inspect_folder(files))
        inspection = explain_module(inspected, assume)
        documents = {"inspect": document(inspection, variables=True), "scan": document(scan_files(files))}
        if inspection.inference is not None:
            destination = choose_destination(None, inspected.name, overwrite=False)
            try:
                plan = closed_plan(make_plan(inspected, destination, assume), module)
            except SurgeryError as error:
                documents["plan"] = _failed(error)
            else:
                documents["plan"] = document(plan)
                documents["taps"] = document(TapListing(plan=plan, batch=1, length=LENGTH))
        statements = read_statements(Path(files.folder))
    if not statements.missing:
        documents |= _manifest(statements)
    if (folder := Path(module)).is_dir() and (folder / SAVED_MODEL).is_file():
        try:
            documents["serving"] = document(serve_export(folder))
        except SurgeryError as error:
            documents["serving"] = _failed(error)
    return documents


def _manifest(statements: Statements) -> dict[str, Data]:
    """The document of an export's manifest; of one that is not as surgery writes it, what is wrong."""
    name, wanted = ("text manifest", form.TEXT_MANIFEST) if "text" in statements.values else ("manifest", form.MANIFEST)
    values = plain(statements.values)
    problem = statements.damage or form.misfit(values, wanted)
    if problem is None:
        return {name: values}
    return {name: _failed(UsageError(f"{MANIFEST} is not as surgery writes it: {problem}"))}


def _failed(error: SurgeryError) -> Data:
    """The document of a command that has failed."""
    kind = type(error).__name__
    return {"schema": 1, "error": {"code": error.exit_code, "type": kind, "message": error.message, "hint": error.hint}}
