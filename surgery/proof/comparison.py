"""Whether two functions are the same: numpy on recorded outputs, per output, over the whole battery.

An output passes when, in every batch, no NaN or Inf appears on one side only and
`max |error| <= atol + rtol * RMS(expected)`. Float32 noise between two correct graphs of BERT-base is 4e-6 at the last
block. The smallest defect worth the name, another epsilon, moves the pooled output by 6.5e-5. The default tolerance
lies between the two. Rows of nothing but padding are not judged: early and later graphs add different numbers to masked
logits, so that such rows differ by design. Their largest error is reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from surgery.explanation.outputs import split_entry
from surgery.proof.battery import Batch
from surgery.proof.parity import OutputDiff, Tolerance, WeightCheck

Arrays = Mapping[str, np.ndarray]
"""The outputs of one batch, by name."""

Recording = Sequence[Arrays]
"""Outputs for each batch of a battery. A batch lacks the outputs that were not run on it."""


def compare(
    battery: Sequence[Batch], expected: Recording, found: Iterable[Arrays], tolerance: Tolerance
) -> tuple[OutputDiff, ...]:
    """Compares the outputs of two sides on a battery: one result per expected output, in the order of computation.

    `found` may be a generator; one batch of it is held in memory at a time.
    """
    running: dict[str, _Running] = {}
    for batch, wanted, got in zip(battery, expected, found, strict=True):
        for name, left in wanted.items():
            running.setdefault(name, _Running(name)).add(batch, left, got.get(name), tolerance)
    return tuple(running[name].diff() for name in sorted(running, key=computation_order))


def computation_order(name: str) -> tuple[int, int, str]:
    """Sort key of an output: embeddings, then blocks by number, then outputs made of the last block.

    Outputs of further signatures and of sub-models come after those of the encoder.
    """
    owner, _, output = name.rpartition(".")
    entry = split_entry(output)
    if entry is not None:
        return (10 * bool(owner) + 1, entry[1], name)
    rank = {"embedding_output": 0, "sequence_output": 2, "pooled_output": 3}.get(output, 4)
    return (10 * bool(owner) + rank, 0, name)


class _Running:
    """The comparison of an output up to the current batch. Its attributes are the fields of OutputDiff."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.batches = 0
        self.max_abs = 0.0
        self.relative = 0.0
        self.bit_equal = True
        self.nonfinite = (0, 0)
        self.padding_rows: float | None = None
        self.worst_batch = ""
        self.passed = True
        self.problem = ""

    def add(self, batch: Batch, left: np.ndarray, right: np.ndarray | None, tolerance: Tolerance) -> None:
        """Compares the output in one more batch; `left` is the expected value, and `right` is None if it is missing."""
        self.batches += 1
        if right is None or left.shape != right.shape or left.dtype != right.dtype:
            found = "it is missing" if right is None else f"found {right.dtype} {list(right.shape)}"
            self._fail(batch, f"expected {left.dtype} {list(left.shape)}, {found}", np.inf, np.inf)
            return
        self.nonfinite = (self.nonfinite[0] + count_nonfinite(left), self.nonfinite[1] + count_nonfinite(right))
        padded = batch.padding_rows
        if padded.any():
            self.padding_rows = max(self.padding_rows or 0.0, _max_error(left[padded], right[padded]))
            left, right = left[~padded], right[~padded]
        self.bit_equal &= left.tobytes() == right.tobytes()
        finite, also_finite = np.isfinite(left), np.isfinite(right)
        if (finite != also_finite).any() or not np.array_equal(left[~finite], right[~finite], equal_nan=True):
            self._fail(batch, f"NaN or Inf on one side only, {batch.label}", self.max_abs, self.relative)
            return
        error = _max_error(left, right)
        rms = float(np.sqrt(np.mean(np.square(left[finite], dtype=np.float64)))) if finite.any() else 0.0
        self.passed &= error <= tolerance.atol + tolerance.rtol * rms
        self.relative = max(self.relative, error / rms if rms else 0.0)
        if error > self.max_abs or not self.worst_batch:
            self.max_abs, self.worst_batch = max(error, self.max_abs), batch.label

    def _fail(self, batch: Batch, problem: str, max_abs: float, relative: float) -> None:
        self.passed, self.bit_equal = False, False
        self.max_abs, self.relative = max_abs, relative
        self.problem = self.problem or problem
        self.worst_batch = batch.label

    def diff(self) -> OutputDiff:
        """The result over all batches."""
        return OutputDiff(**vars(self))


def count_nonfinite(array: np.ndarray) -> int:
    """The number of values that are NaN or infinite. A finite sum proves that none is, at a fraction of the cost."""
    if array.dtype.kind != "f" or np.isfinite(array.sum(dtype=np.float64)):
        return 0
    return int(array.size - np.isfinite(array).sum())


def _max_error(left: np.ndarray, right: np.ndarray) -> float:
    both = np.isfinite(left) & np.isfinite(right)
    return float(np.max(np.abs(left[both] - right[both]), initial=0.0))


def compare_weights(expected: Mapping[str, str], found: Mapping[str, str]) -> WeightCheck:
    """Compares SHA-256 of weights, by target."""
    mismatches = []
    for target, digest in expected.items():
        if target not in found:
            mismatches.append(f"{target}: missing in the export")
        elif found[target] != digest:
            mismatches.append(f"{target}: its bits differ from the module's")
    return WeightCheck(compared=len(expected), mismatches=tuple(mismatches))
