"""surgery tap: tensors of a SavedModel's graph as further outputs."""

from __future__ import annotations

from pathlib import Path

import click

import surgery
from surgery.cli.inputs import EXAMPLES, INPUTS, given
from surgery.cli.options import (
    JSON,
    LIMIT,
    OVERWRITE,
    PATH,
    SAVED_MODEL,
    SIGNATURE,
    TIMEOUT,
    TRUST,
    VERBOSE,
    Command,
    reports_errors,
)
from surgery.cli.terminal import show, working


@click.command(
    cls=Command,
    short_help="Return more tensors of the graph of any SavedModel.",
    examples=(
        "surgery tap ./cnn served/cnn/2 --tensor cnn/conv/Relu=features --tensor cnn/pool/Mean",
        "surgery tap ./module ./tapped --signature tokens --tensor bert/pooler/Squeeze=first_token",
        "surgery tap ./ranker served/ranker/2 --tensor scores --inputs examples.npz",
    ),
)
@SAVED_MODEL
@click.argument("destination", type=PATH)
@click.option(
    "--tensor",
    "tensors",
    multiple=True,
    required=True,
    metavar="NAME[=OUTPUT]",
    help="A tensor, as surgery graph names it, and the key of its output; without a key, the name with _ for each "
    "character that is no letter or digit. Repeatable.",
)
@SIGNATURE
@INPUTS
@EXAMPLES
@TRUST
@OVERWRITE
@click.option("--keep-failed", is_flag=True, help="Keep the staged export when it fails, to look at.")
@TIMEOUT
@LIMIT
@JSON
@VERBOSE
@reports_errors
def tap(
    module: str,
    destination: Path,
    tensors: tuple[str, ...],
    signature: str | None,
    inputs: tuple[Path, ...],
    examples: tuple[str, ...],
    trust: bool,
    overwrite: bool,
    keep_failed: bool,
    as_json: bool,
    verbose: bool,
) -> None:
    """Write a SavedModel whose signature returns tensors from inside its own graph as well.

    Nothing is frozen: variables stay variables, and tables, assets and the other signatures are kept. The result is
    published if the existing outputs are the same on inputs made from the signature, or on given ones: to the bit, or
    to the last bits if the new outputs let TensorFlow fuse the graph otherwise.
    """
    with working(verbose) as progress:
        done = surgery.tap(
            module,
            destination,
            tensors,
            signature=signature,
            inputs=given(inputs, examples),
            trust=trust,
            overwrite=overwrite,
            keep_failed=keep_failed,
            progress=progress,
        )
    show(done, as_json)
