"""surgery report: a page about a module or an export."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path

import click

import surgery
from surgery.cli.failing import tell_failure
from surgery.cli.options import (
    ASSUME,
    JSON,
    LIMIT,
    MODULES,
    PATH,
    TIMEOUT,
    TRUST,
    VERBOSE,
    Command,
    Explained,
    assumed,
    paths,
    reports_errors,
)
from surgery.cli.terminal import show, working
from surgery.errors import ParityError
from surgery.progress import silent


@click.command(
    cls=Command,
    short_help="Write a page about a module or an export.",
    examples=(
        "surgery report exported/module/1 -o module.html",
        "surgery report module.tar.gz                   # writes module.html",
        "surgery report exported/module/1 --verify module.tar.gz",
        "surgery report exported/module/1 --text 'the cat sat on the mat'",
    ),
)
@click.argument(
    "module",
    metavar="EXPORTED|MODULE",
    cls=Explained,
    meaning="EXPORTED is the folder of an export. " + MODULES,
    shell_complete=paths,
)
@click.option(
    "-o",
    "--output",
    "destination",
    type=PATH,
    metavar="PAGE.html",
    help="The file to write.  [default: NAME.html in the current folder]",
)
@click.option(
    "--verify",
    metavar="MODULE",
    help="Compare the export with this module, as surgery verify does, and show this comparison.",
)
@click.option(
    "--text",
    metavar="TEXT",
    help="Show the attention of this text, in an export with --tap attention_probs and --text.",
)
@TRUST
@click.option("--overwrite", is_flag=True, help="Replace the file.")
@ASSUME
@TIMEOUT
@LIMIT
@JSON
@VERBOSE
@reports_errors
def report(
    module: str,
    destination: Path | None,
    verify: str | None,
    text: str | None,
    trust: bool,
    overwrite: bool,
    assume: tuple[str, ...],
    as_json: bool,
    verbose: bool,
) -> None:
    """Write a page about a module or an export: one HTML file, to look at and to show.

    The page has the architecture with its evidence, the way of every weight, the proof, signatures, sizes, the safety
    scan and the origin, and fetches nothing. No TensorFlow is needed, and nothing is run, unless --verify or --text
    asks for it. If --verify finds that the export is another function, the page shows where, and the exit code is 5.
    """
    with working(verbose) if verify is not None or text is not None else nullcontext(silent) as progress:
        written = surgery.report(
            module,
            destination,
            verify=verify,
            text=text,
            trust=trust,
            assume=assumed(assume),
            overwrite=overwrite,
            progress=progress,
        )
    show(written, as_json)
    if written.verification is not None and not written.verification.passed:
        code = ParityError.exit_code
        tell_failure(written.verification.failure, code=code, kind=ParityError.__name__, before="error: ")
        sys.exit(code)
