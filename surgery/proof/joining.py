"""Batches of one length, run as one batch in double precision.

Such a run widens every weight, which takes longer than to compute with a few rows. Each batch is run by itself in
float32, so that a graph that depends on the number of its rows shows there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from surgery.proof.battery import Batch
from surgery.proof.comparison import Arrays

Run = Callable[[Batch], Arrays]
"""Runs a batch, and returns the outputs by name, each [batch, ...]."""


def joinable(battery: Sequence[Batch]) -> list[list[int]]:
    """The numbers of the batches that are run in double precision, in groups that can be run as one."""
    groups: dict[object, list[int]] = {}
    for number, batch in enumerate(battery):
        if batch.double:
            shapes = tuple(sorted((name, array.shape[1:]) for name, array in batch.inputs.items()))
            alone = None if batch.joined else number
            groups.setdefault((shapes, batch.taps, alone), []).append(number)
    return list(groups.values())


def run_joined(battery: Sequence[Batch], numbers: Sequence[int], run: Run) -> dict[int, Arrays]:
    """The outputs of a group of batches, by the batches' numbers."""
    batches = [battery[number] for number in numbers]
    if len(batches) == 1:
        return {numbers[0]: run(batches[0])}
    label = ", ".join(batch.label for batch in batches)
    inputs = {name: np.concatenate([batch.inputs[name] for batch in batches]) for name in batches[0].inputs}
    outputs = run(replace(batches[0], label=label, inputs=inputs))
    return dict(zip(numbers, _parted(outputs, [len(batch.inputs["input_mask"]) for batch in batches]), strict=True))


def _parted(outputs: Arrays, rows: Sequence[int]) -> Iterator[Arrays]:
    """The outputs of each batch. One that has not as many rows as the batches is returned whole: its shape is wrong."""
    total, start = sum(rows), 0
    for count in rows:
        yield {
            name: value[start : start + count] if value.shape[:1] == (total,) else value
            for name, value in outputs.items()
        }
        start += count
