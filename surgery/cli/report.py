"""surgery report: a page about a module or an export."""

from __future__ import annotations

from pathlib import Path

import click

import surgery
from surgery.cli.options import ASSUME, JSON, LIMIT, MODULES, Command, Explained, assumed, paths, reports_errors
from surgery.cli.terminal import show


@click.command(
    cls=Command,
    short_help="Write a page about a module or an export.",
    examples=(
        "surgery report exported/module/1 -o module.html",
        "surgery report module.tar.gz                   # writes module.html",
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
    type=click.Path(path_type=Path),
    metavar="PAGE.html",
    help="The file to write.  [default: NAME.html in the current folder]",
)
@click.option("--overwrite", is_flag=True, help="Replace the file.")
@ASSUME
@LIMIT
@JSON
@reports_errors
def report(module: str, destination: Path | None, overwrite: bool, assume: tuple[str, ...], as_json: bool) -> None:
    """Write a page about a module or an export: one HTML file, to look at and to show.

    It needs no TensorFlow, runs nothing, and the page fetches nothing.
    """
    show(surgery.report(module, destination, assume=assumed(assume), overwrite=overwrite), as_json)
