"""Options that give inputs to a signature: files of arrays, and small values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

INPUTS = click.option(
    "--inputs",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE.npz",
    help="Arrays by input, as numpy.savez writes them; a ragged input as r.values and r.row_splits, a sparse one as "
    "s.indices, s.values and s.dense_shape.",
)
EXAMPLES = click.option(
    "--example",
    "examples",
    multiple=True,
    metavar="KEY=VALUE",
    help="A small input as JSON: a number, a text, nested lists; a list of objects becomes serialized "
    "tf.train.Examples. Repeatable.",
)


def given(inputs: Sequence[Path], examples: Sequence[str]) -> list[Any] | None:
    """One mapping of values by input per file, each with the small values; None where nothing was given."""
    from surgery.graph_taps.given_inputs import read_inputs

    if not inputs and not examples:
        return None
    files: Sequence[Any] = inputs or [{}]
    return [read_inputs(file, examples) for file in files]
