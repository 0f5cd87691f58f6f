"""surgery run: a signature of any SavedModel, run once on given inputs."""

from __future__ import annotations

from pathlib import Path

import click

import surgery
from surgery.cli.inputs import EXAMPLES, INPUTS, given
from surgery.cli.options import (
    JSON,
    LIMIT,
    PATH,
    SAVED_MODELS,
    SIGNATURE,
    TIMEOUT,
    TRUST,
    VERBOSE,
    Command,
    Explained,
    reports_errors,
)
from surgery.cli.terminal import show, tell, working
from surgery.errors import UsageError


@click.command(
    cls=Command,
    short_help="Run a signature of any SavedModel on given inputs.",
    examples=(
        "surgery run exported/bert/1 --inputs tokens.npz --outputs pooled_output",
        'surgery run exported/bert_text/1 --example \'text=["a text", "another"]\' --output vectors.npz',
        'surgery run ./ranker --example \'examples=[{"age": [31], "city": ["Ulm"]}]\' --json',
    ),
)
@click.argument("exported", metavar="EXPORTED", cls=Explained, meaning=SAVED_MODELS.replace("MODULE", "EXPORTED"))
@SIGNATURE
@INPUTS
@EXAMPLES
@click.option("--outputs", metavar="OUT,OUT", help="The outputs to compute.  [default: all]")
@click.option(
    "--output",
    "destination",
    type=PATH,
    metavar="FILE.npz",
    help="Write the outputs to this file instead of printing their values.",
)
@click.option("--overwrite", is_flag=True, help="Replace the file of --output.")
@TRUST
@TIMEOUT
@LIMIT
@JSON
@VERBOSE
@reports_errors
def run(
    exported: str,
    signature: str | None,
    inputs: tuple[Path, ...],
    examples: tuple[str, ...],
    outputs: str | None,
    destination: Path | None,
    overwrite: bool,
    trust: bool,
    as_json: bool,
    verbose: bool,
) -> None:
    """Run a signature on one batch, and print or write what it returns.

    Large outputs are abbreviated; --output and --json have every value. Inputs have the keys that surgery inspect
    shows; an error lists those that the signature takes. A dtype is cast where that changes no value.
    """
    if len(inputs) > 1:
        raise UsageError("--inputs: expected one file, because a signature runs on one batch")
    with working(verbose) as progress:
        ran = surgery.run(
            exported,
            *(given(inputs, examples) or [{}]),
            signature=signature,
            outputs=None if outputs is None else [name.strip() for name in outputs.split(",")],
            destination=destination,
            trust=trust,
            overwrite=overwrite,
            progress=progress,
        )
    for cast in ran.casts:
        tell(cast)
    show(ran, as_json, abbreviated=not as_json)
