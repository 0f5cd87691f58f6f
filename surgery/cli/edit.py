"""surgery edit: the edits that need no Keras layer. Python has all of them, see surgery.edits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import surgery
from surgery.cli.options import (
    ASSUME,
    JSON,
    LIMIT,
    MODULE,
    OVERWRITE,
    PATH,
    TRUST,
    VERBOSE,
    Command,
    assumed,
    reports_errors,
)
from surgery.cli.output_options import chooses_outputs
from surgery.cli.terminal import show, working
from surgery.errors import UsageError

if TYPE_CHECKING:
    from surgery.edits import Edit, PruneHeads


@click.command(
    cls=Command,
    short_help="Keep or drop blocks, prune heads, and export what is left.",
    examples=(
        "surgery edit ./module --keep 0:6                  # the first six blocks",
        "surgery edit ./module served/pruned/1 --prune-heads 0,3@-1 --prune-heads 2@:4",
    ),
)
@MODULE
@click.argument("destination", required=False, type=PATH)
@click.option("--keep", metavar="LAYERS", help="Keep these blocks and drop the others.")
@click.option("--drop", metavar="LAYERS", help="Drop these of the blocks that --keep leaves.")
@click.option(
    "--prune-heads", "pruned", multiple=True, metavar="HEADS[@LAYERS]", help="Remove heads from blocks. Repeatable."
)
@chooses_outputs
@TRUST
@OVERWRITE
@ASSUME
@LIMIT
@JSON
@VERBOSE
@reports_errors
def edit(
    module: str,
    destination: Path | None,
    keep: str | None,
    drop: str | None,
    pruned: tuple[str, ...],
    assume: tuple[str, ...],
    as_json: bool,
    verbose: bool,
    **options: Any,
) -> None:
    """Export an encoder without some of its blocks or heads.

    Outputs before the first effect of an edit are bit-equal to the unedited export's; the manifest lists what changed.
    Edits are made in the order keep, drop, prune. Python has two more edits: see surgery.edits. Without DESTINATION the
    export goes to exported/<module name>_edited/<next version>/.
    """
    from surgery.edits import DropBlocks, KeepBlocks

    edits: list[Edit] = [KeepBlocks(keep)] if keep is not None else []
    edits += [DropBlocks(drop)] if drop is not None else []
    edits += [_prune(text) for text in pruned]
    try:
        model = surgery.edit(module, *edits, assume=assumed(assume))
    except UsageError as error:
        if edits:
            raise
        raise UsageError(error.message, hint="such as --keep 0:6 or --prune-heads 0,3@-1") from None
    with working(verbose) as progress:
        done = model.export(destination, progress=progress, **options)
    show(done, as_json)


def _prune(text: str) -> PruneHeads:
    from surgery.edits import PruneHeads

    heads, _, blocks = text.partition("@")
    try:
        return PruneHeads(tuple(int(head) for head in heads.split(",")), blocks or ":")
    except ValueError:
        raise UsageError(f"--prune-heads {text}: expected HEADS[@LAYERS], such as 0,3@-1") from None
