"""surgery run: a signature of any SavedModel, run once on given inputs."""

from __future__ import annotations

from pathlib import Path

import click

import surgery
from surgery.cli.options import (
    EXAMPLE,
    INPUTS,
    JSON,
    LIMIT,
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


@click.command(
    cls=Command,
    short_help="Run a signature of any SavedModel on given inputs.",
    examples=(
        "surgery run exported/bert/1 --inputs inputs.npz --output outputs.npz",
        "surgery run exported/bert_text/1 --example 'sentences=[\"a text\"]' --outputs pooled_output",
        "surgery run ./lstm --example 'words=[[1, 2, 3]]' --json | jq '.outputs[0].values'",
        "surgery run ./wide_deep --signature predict --example 'examples=[{\"age\": [22.0]}]'",
    ),
)
@click.argument("exported", metavar="EXPORTED", cls=Explained, meaning=SAVED_MODELS.replace("MODULE", "EXPORTED"))
@SIGNATURE
@INPUTS
@EXAMPLE
@click.option("--outputs", metavar="NAME,NAME", help="Compute these outputs only.")
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="Write all values to this .npz file.")
@click.option("--overwrite", is_flag=True, help="Replace FILE.")
@TRUST
@TIMEOUT
@LIMIT
@JSON
@VERBOSE
@reports_errors
def run(
    exported: str,
    signature: str | None,
    inputs: Path | None,
    example: tuple[str, ...],
    outputs: str | None,
    output: Path | None,
    overwrite: bool,
    trust: bool,
    as_json: bool,
    verbose: bool,
) -> None:
    """Run a signature on inputs from a file or from the command line, and print what it returns.

    Large outputs are abbreviated; --output and --json have every value. The inputs must be those that the signature
    takes: an error lists them. surgery inspect shows all signatures.
    """
    from surgery.feeding.given import read_given
    from surgery.jobs.run import check_output, write_outputs
    from surgery.paths import at_home
    from surgery.reports import running as report

    output = at_home(output)
    if output is not None:
        check_output(output, at_home(exported), overwrite=overwrite)
    given = read_given(at_home(inputs), example)
    with working(verbose) as progress:
        ran = surgery.run(
            exported,
            given,
            signature=signature,
            outputs=None if outputs is None else [name.strip() for name in outputs.split(",")],
            trust=trust,
            progress=progress,
        )
        if output is not None:
            write_outputs(ran.outputs, output)
    for note in ran.casts:
        tell(note)
    show(report.data(ran, abbreviated=not as_json, written=output), report.text, as_json)
