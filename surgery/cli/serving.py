"""surgery serving: how to put an export behind TensorFlow Serving."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import click

import surgery
from surgery.cli.options import JSON, LIMIT, PATH, TRUST, VERBOSE, Command, reports_errors
from surgery.cli.terminal import show, working


@click.command(
    cls=Command,
    short_help="Show how to serve an export, and how large its replies are.",
    examples=(
        "surgery serving exported/bert/1 --batch 32 --length 128",
        "surgery serving exported/bert/1 --output serving       # models.config, batching.config, client.py",
        "surgery serving exported/bert/1 --label stable=1 --label canary=2 --output serving",
        "surgery serving exported/bert/1 --warmup --signature serving_default",
        "surgery serving exported/bert/1 --mixed-precision bfloat16 --batch 8",
        "surgery serving exported/bert/1 --json | jq -r .commands.curl | sh",
    ),
)
@click.argument("exported", type=PATH)
@click.option("--signature", "signatures", multiple=True, metavar="NAME", help="Only this signature. Repeatable.")
@click.option("--batch", type=click.IntRange(min=1), default=1, show_default=True, help="Rows of a request.")
@click.option("--length", type=click.IntRange(min=1), help="Tokens of a row.  [default: 128, or the longest]")
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="LABEL=VERSION",
    help="Serve this version too, for clients that ask for its label. Repeatable.",
)
@click.option("--output", type=PATH, metavar="DIR", help="Write the files there.")
@click.option("--warmup", is_flag=True, help="Write warm-up requests into EXPORTED, each read back and replayed.")
@click.option(
    "--mixed-precision",
    type=click.Choice(["bfloat16"]),
    help="Measure what this flag of TensorFlow Serving costs in error and gains in time.",
)
@click.option("--overwrite", is_flag=True, help="Replace files of DIR, and warm-up requests.")
@TRUST
@LIMIT
@JSON
@VERBOSE
@reports_errors
def serving(
    exported: Path,
    signatures: tuple[str, ...],
    batch: int,
    length: int | None,
    labels: tuple[str, ...],
    output: Path | None,
    warmup: bool,
    mixed_precision: str | None,
    trust: bool,
    overwrite: bool,
    as_json: bool,
    verbose: bool,
) -> None:
    """Show how to put an export behind TensorFlow Serving.

    Shows the inputs and outputs of each signature, with the bytes of a reply against gRPC's limit of 4 MiB; TensorFlow
    Serving's command line, containers and configuration files; what its flags mean for the export; a curl line and a
    Python client that needs grpcio and protobuf only. Only --warmup and --mixed-precision need TensorFlow.
    """
    with working(verbose) if warmup or mixed_precision else nullcontext() as progress:
        found = surgery.serving(
            exported,
            signatures=signatures,
            batch=batch,
            length=length,
            labels=labels,
            output=output,
            warmup=warmup,
            mixed_precision=mixed_precision,
            trust=trust,
            overwrite=overwrite,
            progress=progress,
        )
    show(found, as_json)
