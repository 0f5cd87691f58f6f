"""surgery verify: compare an export with its module."""

from __future__ import annotations

import sys
from pathlib import Path

import click

import surgery
from surgery.cli.failing import tell_failure
from surgery.cli.options import (
    ASSUME,
    JSON,
    LIMIT,
    MODULE,
    NONFINITE,
    PATH,
    TIMEOUT,
    TRUST,
    VERBOSE,
    Command,
    assumed,
    reports_errors,
)
from surgery.cli.terminal import show, working
from surgery.errors import ParityError


@click.command(
    cls=Command,
    short_help="Compare an export with its module.",
    examples=(
        "surgery verify ./module exported/module/1",
        "surgery verify ./module exported/module/1 --node-data errors",
    ),
)
@MODULE
@click.argument("exported", type=PATH)
@NONFINITE
@ASSUME
@click.option(
    "--node-data",
    type=PATH,
    metavar="FOLDER",
    help="Write the errors of every output there, for Model Explorer to lay over the export's graph.",
)
@click.option("--overwrite", is_flag=True, help="Replace the folder of --node-data.")
@TRUST
@TIMEOUT
@LIMIT
@JSON
@VERBOSE
@reports_errors
def verify(
    module: str,
    exported: Path,
    allow_nonfinite: bool,
    trust: bool,
    assume: tuple[str, ...],
    node_data: Path | None,
    overwrite: bool,
    as_json: bool,
    verbose: bool,
) -> None:
    """Compare any export with its module: outputs, weights, contract, and its manifest's statements.

    An export whose manifest calls it edited is compared with the module after the same edits. Exits with 5 when they
    differ.
    """
    with working(verbose) as progress:
        found = surgery.verify(
            module,
            exported,
            allow_nonfinite=allow_nonfinite,
            trust=trust,
            assume=assumed(assume),
            node_data=node_data,
            overwrite=overwrite,
            progress=progress,
        )
    show(found, as_json)
    if not found.passed:
        code = ParityError.exit_code
        tell_failure(found.failure, code=code, kind=ParityError.__name__, before="error: ")
        sys.exit(code)
