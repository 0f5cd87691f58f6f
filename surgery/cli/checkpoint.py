"""surgery checkpoint: a module as a Hugging Face folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

import surgery
from surgery.cli.options import (
    ASSUME,
    JSON,
    LIMIT,
    MODULE,
    NONFINITE,
    PATH,
    TRUST,
    VERBOSE,
    Command,
    assumed,
    reports_errors,
)
from surgery.cli.terminal import show, working


@click.command(
    cls=Command,
    short_help="Write a module as a Hugging Face folder for transformers.",
    examples=(
        "surgery checkpoint ./module bert_hf",
        "surgery checkpoint exported/bert/1 bert_hf --verify",
        "surgery checkpoint ./electra electra_hf --drop-pooler",
        "surgery checkpoint ./module sentences_hf --pooling mean",
        "surgery checkpoint ./labse labse_hf",
        "surgery checkpoint ./classifier classifier_hf --label negative --label positive",
    ),
)
@MODULE
@click.argument("destination", type=PATH)
@click.option("--verify", is_flag=True, help="Also compute all outputs on both sides, in double precision.")
@click.option("--drop-pooler", is_flag=True, help="Leave out the pooler, and with it the pooled output.")
@click.option("--drop-head", is_flag=True, help="Leave out the classification head.")
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="NAME",
    help="The name of a label of the classification head; once for each, in order.",
)
@click.option(
    "--merge-dropout", type=float, metavar="RATE", help="The rate in the place of several that the config cannot have."
)
@click.option(
    "--pooling", metavar="NAME", help="Add sentence-transformers' files: mean, cls, max, mean_sqrt_len or pooler."
)
@click.option("--tokenizer/--no-tokenizer", default=True, show_default=True, help="Write the tokenizer's files.")
@click.option("--vocab", type=PATH, help="The vocabulary file, if the module has none.")
@click.option("--lower-case/--no-lower-case", default=None, help="The casing, if the module does not show it.")
@NONFINITE
@ASSUME
@TRUST
@click.option("--overwrite", is_flag=True, help="Replace DESTINATION, after the new checkpoint has passed.")
@LIMIT
@JSON
@VERBOSE
@reports_errors
def checkpoint(
    module: str, destination: Path, as_json: bool, verbose: bool, assume: tuple[str, ...], **options: Any
) -> None:
    """Write a module as a Hugging Face folder: config, weights, tokenizer and model card.

    A classification head goes with it, if it is a dense layer on the pooled output, or behind another one on the first
    token.

    What transformers cannot express is refused before anything is written. Every tensor and hyperparameter is read
    back and compared before the folder is published. Only --verify needs TensorFlow.
    """
    with working(verbose) as progress:
        done = surgery.checkpoint(module, destination, assume=assumed(assume), progress=progress, **options)
    show(done, as_json)
