"""surgery preprocess: the tokenizer of a module as a SavedModel of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

import surgery
from surgery.cli.options import (
    JSON,
    LIMIT,
    MODULE,
    OVERWRITE,
    PATH,
    TRUST,
    VERBOSE,
    Command,
    reads_texts,
    reports_errors,
)
from surgery.cli.terminal import show, working


@click.command(
    cls=Command,
    short_help="Write a module's preprocessor: strings in, tokens out.",
    examples=(
        "surgery preprocess ./module exported/preprocess/1 --seq-length 64",
        "surgery preprocess ./checkpoint --lower-case",
    ),
)
@MODULE
@click.argument("destination", required=False, type=PATH)
@reads_texts
@TRUST
@OVERWRITE
@LIMIT
@JSON
@VERBOSE
@reports_errors
def preprocess(module: str, destination: Path | None, as_json: bool, verbose: bool, **options: Any) -> None:
    """Write the preprocessor that fits a module, with TF Hub's text API.

    It is callable on strings, and has .tokenize and .bert_pack_inputs(tokens, seq_length=N). Without DESTINATION it
    goes to exported/<module name>_preprocess/<next version>/.
    """
    with working(verbose) as progress:
        done = surgery.preprocess(module, destination, progress=progress, **options)
    show(done, as_json)
