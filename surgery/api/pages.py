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
    verify: PathOrHandle | None = None,
    text: str | None = None,
    trust: bool = False,
    assume: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    limits: Limits = None,
    timeout: int | None = None,
    progress: Progress | None = None,
) -> HtmlReport:
    """Writes a page about a module or an export: one HTML file that fetches nothing.

    It needs no TensorFlow, and runs nothing, unless `verify` or `text` is given.

    Args:
        module: A module as for `inspect`, or the folder of an export.
        destination: The file to write; None for `<name>.html` in the current folder.
        verify: The module with which an export is compared, as `verify` does, so that the page shows this comparison.
            Without it, the page shows the comparison of which the export's manifest tells.
        text: A sentence whose attention the page shows: of each head of each block. The export takes texts,
            or lies beside its text export, and was made with `taps="attention_probs"`.
        trust: With `verify` or `text`: as for `convert`.
        assume: As for `convert`.
        overwrite: Replaces a file that is there.
        limits: As for `inspect`.
        timeout: With `verify` or `text`: as for `verify`.
        progress: As for `convert`.

    Returns:
        The page's file, its sections, and the JSON of the commands that it was drawn from. A comparison that has not
        passed raises no error: `.verification` has its verdict, as the page.

    Raises:
        ModuleError: The module is missing, damaged, or no module.
        UsageError: The file is there already, or lies inside the module; or the export has no attention maps of texts.
        WriteError: The file cannot be written.
        UntrustedError: With `verify` or `text`: one of both could do more than compute.

    Examples:
        ```python
        surgery.report("exported/bert/1", "bert.html")
        surgery.report("exported/bert/1", "bert.html", verify="bert.tar.gz", overwrite=True)
        surgery.report("exported/bert/1", "sentence.html", text="the cat sat on the mat")
        ```
    """
    from surgery.jobs.report import report_module

    return report_module(
        str(module),
        None if destination is None else Path(destination),
        verify=None if verify is None else str(verify),
        text=text,
        trust=trust,
        assume=assume,
        overwrite=overwrite,
        progress=progress or silent,
    )
