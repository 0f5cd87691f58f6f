"""surgery convert: rebuild, verify and re-export a module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

import surgery
from surgery.cli.options import (
    ASSUME,
    JSON,
    KEEP_HEAD,
    LIMIT,
    MODULE,
    NONFINITE,
    OVERWRITE,
    PATH,
    TRUST,
    VERBOSE,
    Command,
    assumed,
    reads_texts,
    reports_errors,
)
from surgery.cli.output_options import chooses_outputs
from surgery.cli.terminal import show, working


@click.command(
    cls=Command,
    short_help="Rebuild, verify and re-export a module.",
    examples=(
        "surgery convert ./module                      # into exported/module/1/",
        "surgery convert module.tar.gz served/bert/7 --overwrite",
        "surgery convert https://tfhub.dev/tensorflow/bert_en_uncased_L-12_H-768_A-12/4",
        "surgery convert ./module --tap attention_probs --feature vector=mean@-4:/mean --depth 6",
    ),
)
@MODULE
@click.argument("destination", required=False, type=PATH)
@chooses_outputs
@KEEP_HEAD
@click.option("--text", is_flag=True, help="Also write a SavedModel that takes strings, beside DESTINATION.")
@reads_texts
@click.option("--warmup", is_flag=True, help="Also write the requests that TensorFlow Serving runs first.")
@click.option(
    "--report",
    type=PATH,
    metavar="PAGE.html",
    help="Also write a page about the export, to look at and to show.",
)
@TRUST
@OVERWRITE
@click.option("--keep-failed", is_flag=True, help="Keep the staged export when it fails, to look at.")
@NONFINITE
@ASSUME
@LIMIT
@JSON
@VERBOSE
@reports_errors
def convert(
    module: str,
    destination: Path | None,
    trust: bool,
    overwrite: bool,
    keep_failed: bool,
    allow_nonfinite: bool,
    assume: tuple[str, ...],
    as_json: bool,
    verbose: bool,
    report: Path | None,
    **outputs: Any,
) -> None:
    """Rebuild the encoder, verify it, and write a SavedModel that names every block output.

    Without DESTINATION it goes to exported/<module name>/<next version>/, which TensorFlow Serving can watch. Nothing
    is published unless the reloaded export computes what the module computes.
    """
    with working(verbose) as progress:
        done = surgery.convert(
            module,
            destination,
            trust=trust,
            overwrite=overwrite,
            keep_failed=keep_failed,
            allow_nonfinite=allow_nonfinite,
            assume=assumed(assume),
            report=report,
            progress=progress,
            **outputs,
        )
    show(done, as_json)
