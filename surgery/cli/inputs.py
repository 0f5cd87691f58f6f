"""Options that give inputs to a signature: files of arrays, and small values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from surgery.cli.options import PATH

INPUTS = click.option(
    "--inputs",
    multiple=True,
    type=PATH,
    metavar="FILE.npz",
    help="Arrays by input, as numpy.savez writes them: a ragged input as r.values and r.row_splits, a sparse one as "
    "s.indices, s.values and s.dense_shape.",
)
EXAMPLES = click.option(
    "--example",
    "examples",
    multiple=True,
    metavar="KEY=VALUE",
    help="A small input: a text, a number, or nested lists as JSON; a list of objects becomes serialized "
    "tf.train.Examples. Repeatable.",
)


def given(inputs: Sequence[Path], examples: Iterable[str]) -> list[dict[str, Any]]:
    """One mapping of values by input per file, each with the small values; none where nothing was given."""
    from surgery.feeding.given import read_given
    from surgery.paths import at_home

    files: Sequence[Any] = at_home(inputs) or ([{}] if examples else [])
    return [read_given(file, examples) for file in files]
