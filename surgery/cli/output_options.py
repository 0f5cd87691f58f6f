"""The options that choose the outputs of an export."""

from __future__ import annotations

from typing import Any

import click

from surgery.planning.requests import GRAPHS

OUTPUTS = (
    click.option("--tap", "taps", multiple=True, metavar="NAME[@LAYERS]", help="Add a sublayer of blocks. Repeatable."),
    click.option("--layers", metavar="LAYERS", help="Keep these block outputs only in serving_default, such as -4:."),
    click.option(
        "--feature",
        "features",
        multiple=True,
        metavar="NAME=MIX@LAYERS/POOLING",
        help="Add a signature that mixes and pools block outputs. Repeatable.",
    ),
    click.option(
        "--depth",
        "depths",
        multiple=True,
        type=int,
        metavar="K",
        help="Add a signature of the first K blocks. Repeatable.",
    ),
    click.option(
        "--signature",
        "signatures",
        multiple=True,
        metavar="NAME=OUT,OUT",
        help="Compose a signature of outputs, or add hidden_states, which needs no list. Repeatable.",
    ),
    click.option(
        "--graph",
        type=click.Choice(GRAPHS),
        default=GRAPHS[0],
        show_default=True,
        help="Inference in the form that TensorFlow fuses, or as Model Garden's layers trace it.",
    ),
    click.option("--packed", is_flag=True, help="Leave padding out of all signatures; its rows are then zeros."),
)


def chooses_outputs(command: Any) -> Any:
    """Adds the options that choose the outputs of an export, in their order."""
    for option in reversed(OUTPUTS):
        command = option(command)
    return command
