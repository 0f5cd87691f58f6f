"""surgery run: one signature of a SavedModel on given inputs."""

from __future__ import annotations

from pathlib import Path

import click

import surgery
from surgery.cli.inputs import EXAMPLES, INPUTS, given
from surgery.cli.options import JSON, LIMIT, SAVED_MODEL, SIGNATURE, TIMEOUT, TRUST, VERBOSE, Command, reports_errors
from surgery.cli.terminal import show, working
from surgery.errors import UsageError


@click.command(
    cls=Command,
    short_help="Run a signature of any SavedModel on inputs of a file.",
    examples=(
        "surgery run exported/bert/1 --inputs tokens.npz --outputs pooled_output",
        'surgery run exported/bert_text/1 --example \'text=["a text", "another"]\' --output vectors.npz',
        'surgery run ./ranker --example \'examples=[{"age": [31], "city": ["Ulm"]}]\' --json',
    ),
)
@SAVED_MODEL
@SIGNATURE
@INPUTS
@EXAMPLES
@click.option("--outputs", metavar="OUT,OUT", help="The outputs to compute.  [default: all]")
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE.npz", help="Write the outputs to this file.")
@click.option("--overwrite", is_flag=True, help="Replace the file of --output.")
@TRUST
@TIMEOUT
@LIMIT
@JSON
@VERBOSE
@reports_errors
def run(
    module: str,
    signature: str | None,
    inputs: tuple[Path, ...],
    examples: tuple[str, ...],
    outputs: str | None,
    output: Path | None,
    overwrite: bool,
    trust: bool,
    as_json: bool,
    verbose: bool,
) -> None:
    """Run a signature on one batch, and print or write what it returns.

    Inputs have the keys that surgery inspect shows. Integers are cast if every value fits, floats are rounded; nothing
    else is cast. The module is scanned first.
    """
    batches = given(inputs, examples) or [{}]
    if len(batches) > 1:
        raise UsageError("--inputs: expected one file, because a signature runs on one batch")
    with working(verbose) as progress:
        done = surgery.run(
            module,
            batches[0],
            signature=signature,
            outputs=None if outputs is None else outputs.split(","),
            destination=output,
            trust=trust,
            overwrite=overwrite,
            progress=progress,
        )
    show(done, as_json)
