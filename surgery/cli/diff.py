"""surgery diff: what is different between two modules."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path

import click

import surgery
from surgery.cli.options import (
    JSON,
    LIMIT,
    MODULES,
    PATH,
    TIMEOUT,
    TRUST,
    VERBOSE,
    Command,
    Explained,
    paths,
    reports_errors,
)
from surgery.cli.terminal import show, tell, working
from surgery.comparing.parts import DIFFERENT, PARTS
from surgery.progress import silent


@click.command(
    cls=Command,
    short_help="Show what is different between two modules.",
    examples=(
        "surgery diff ./base ./fine_tuned",
        "surgery diff ./module ./exported/1 --only variables  # 0 if the weights are the same",
        "surgery diff ./base ./fine_tuned --numbers --html page.html",
        "surgery diff a.tar.gz b.tar.gz --json | jq '.weights.parts[]'",
    ),
)
@click.argument(
    "a", metavar="A", cls=Explained, meaning=MODULES.replace("MODULE is", "A and B are each"), shell_complete=paths
)
@click.argument("b", metavar="B", shell_complete=paths)
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(PARTS),
    metavar="PART",
    help=f"Compare this part only: {', '.join(PARTS[:-1])} or {PARTS[-1]}. Repeatable.",
)
@click.option("--all", "every", is_flag=True, help="Show every row of every table.")
@click.option("--numbers", is_flag=True, help="Run both encoders in double precision: where do they part?")
@click.option(
    "--html",
    type=PATH,
    metavar="PAGE.html",
    help="Write the comparison as a page, too: one file that fetches nothing.",
)
@click.option("--overwrite", is_flag=True, help="Replace the file of --html.")
@TRUST
@TIMEOUT
@LIMIT
@JSON
@VERBOSE
@reports_errors
def diff(
    a: str,
    b: str,
    only: tuple[str, ...],
    every: bool,
    numbers: bool,
    html: Path | None,
    overwrite: bool,
    trust: bool,
    as_json: bool,
    verbose: bool,
) -> None:
    """Show what is different between two modules, exports or checkpoints of any kind.

    Nothing of them is run, and no TensorFlow is needed, unless --numbers asks for it.

    Compares signatures, calls, the architecture with its evidence, constants, operations, assets (vocabularies line by
    line) and variables: bits, RMS of the difference, cosine, and rows. Variables of two encoders of one family are
    paired by meaning, whatever their names and layouts are. The exit code is 0 if all that is compared is equal, else
    8.
    """
    with working(verbose) if numbers else nullcontext(silent) as progress:
        found = surgery.diff(
            a, b, only=only, numbers=numbers, html=html, overwrite=overwrite, trust=trust, progress=progress
        )
    show(found, as_json, every=every)
    if html is not None:
        tell(f"wrote {html}")
    if not found.same:
        sys.exit(DIFFERENT)
