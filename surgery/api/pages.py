"""Functions that write pages of HTML to look at."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from surgery.arguments import PathOrHandle
from surgery.boundary import public
from surgery.limits import Limits
from surgery.progress import Progress, silent

if TYPE_CHECKING:
    from surgery.jobs.report import HtmlReport


@public
def report(
    module: PathOrHandle,
    destination: PathOrHandle | None = None,
    *,
    assume: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    limits: Limits = None,
    progress: Progress | None = None,
) -> HtmlReport:
    """Writes a page about a module or an export: one HTML file that fetches nothing. Needs no TensorFlow.

    Args:
        module: A module as for `inspect`, or the folder of an export.
        destination: The file to write; None for `<name>.html` in the current folder.
        assume: As for `convert`.
        overwrite: Replaces a file that is there.
        limits: As for `inspect`.
        progress: As for `convert`.

    Returns:
        The page's file, its sections, and the JSON of the commands that it was drawn from.

    Raises:
        ModuleError: The module is missing, damaged, or no module.
        UsageError: The file is there already, or lies inside the module.
        WriteError: The file cannot be written.
    """
    from surgery.jobs.report import report_module

    return report_module(
        str(module),
        None if destination is None else Path(destination),
        assume=assume,
        overwrite=overwrite,
        progress=progress or silent,
    )
