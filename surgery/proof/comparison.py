"""Whether two functions are the same: numpy on recorded outputs, per output, over the whole battery.

Two questions are asked of each output. In double precision: is it the same function? Equal functions differ by 1e-13 of
the RMS, and almost every defect by more than 1e-10. In float32: is the export as exact as the module? The errors of
both against float64 are compared over the whole battery, because single batches scatter. Rows of nothing but padding
are not judged: early and later graphs add different numbers to masked logits, so that such rows differ by design. Their
largest difference is reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from surgery.explanation.outputs import BLOCKS, split_entry
from surgery.proof.arrays import count_nonfinite, equal_nonfinite, max_error, root_mean_square
from surgery.proof.battery import Batch
from surgery.proof.parity import (
    ERROR_FACTOR,
    FLOAT32_ATOL,
    FLOAT32_RTOL,
    MAX_DIFFERENCE,
    ROUNDING,
    ROUNDINGS,
    OutputDiff,
)
from surgery.tables.family import POOLED, POOLER

Arrays = Mapping[str, np.ndarray]
"""The outputs of one batch, by name."""


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """What one side returned for one batch.

    Attributes:
        float64: Its outputs in double precision. Those are missing that need an operation without such a kernel.
        float32: Its outputs as it runs; empty if the batch is not run in float32.
    """

    float64: Arrays
    float32: Arrays = field(default_factory=dict)


Recording = Sequence[Outputs]
"""Outputs for each batch of a battery. A batch lacks the outputs that were not run on it."""


@dataclass(frozen=True, kw_only=True)
class ModuleRecording:
    """The module's outputs on a battery, and what its computation in double precision left out or put in place.

    Attributes:
        outputs: Its outputs on each batch.
        formulas: Names of the formulas whose exact values took the place of their float32 roundings.
        lacking: The types of operations without a kernel for double precision, by the output that lacks for them.
    """

    outputs: Recording
    formulas: tuple[str, ...] = ()
    lacking: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def names_of(recording: Recording) -> frozenset[str]:
    """The names of all outputs of a recording."""
    return frozenset(name for outputs in recording for name in (*outputs.float64, *outputs.float32))


def without_double(
    same_as: Mapping[str, str], lacking: Mapping[str, tuple[str, ...]], expected: Recording
) -> tuple[frozenset[str], dict[str, str]]:
    """The further outputs, see `compare`, that double precision cannot judge, because one side does not have it.

    `lacking` are the operations without a kernel for double precision, by the output that lacks for them. The first are
    to be run in float32. The second cannot be judged at all, each with what it lacks: float32 is not expected of it.
    """
    wide = {name for outputs in expected for name in outputs.float64}
    narrow = {name for outputs in expected for name in outputs.float32}
    only = {name: like for name, like in same_as.items() if name in lacking or like not in wide}
    return (
        frozenset(name for name, like in only.items() if like in narrow),
        {name: ", ".join(lacking[name]) for name, like in only.items() if like in wide - narrow},
    )


def compare(
    battery: Sequence[Batch], expected: Recording, found: Iterable[Outputs], same_as: Mapping[str, str] | None = None
) -> tuple[OutputDiff, ...]:
    """Compares the outputs of two sides on a battery: one result per expected output, in the order of computation.

    `found` may be a generator; one batch of it is held in memory at a time. `same_as` are further outputs of the found
    side by name, with the expected output that each must be: in double precision, or where it has none in float32.
    """
    running: dict[str, _Running] = {}
    for batch, wanted, got in zip(battery, expected, found, strict=True):
        names = {name: name for name in (*wanted.float64, *wanted.float32)}
        run = {*got.float64, *got.float32}
        names |= {name: like for name, like in (same_as or {}).items() if like in names and name in run}
        for name, like in names.items():
            in_double_only = name != like and name in got.float64 and like in wanted.float64
            running.setdefault(name, _Running(name)).add(
                batch,
                (wanted.float64.get(like), got.float64.get(name)),
                (None, None) if in_double_only else (wanted.float32.get(like), got.float32.get(name)),
            )
    return tuple(running[name].diff() for name in sorted(running, key=computation_order))


def computation_order(name: str) -> tuple[int, int, bool, str]:
    """Sort key of an output: embeddings, then blocks by number, then outputs made of the last block.

    Outputs of further signatures and of sub-models come after those of the encoder, those of training traces last. The
    list of block outputs comes first at each number: where others are outputs of the call, too, as MobileBERT's scores
    are, it begins with the embeddings, so that its entry is what enters the block of that number.
    """
    owner, _, output = name.rpartition(".")
    place = 10 * bool(owner) + 10 * ("training=True" in owner)
    entry = split_entry(output)
    if entry is not None:
        return (place + 1, entry[1], entry[0] != BLOCKS, name)
    rank = {"embedding_output": 0, "sequence_output": 2, POOLER: 3, POOLED: 4}.get(output, 5)
    return (place + rank, 0, False, name)


Pair = tuple[np.ndarray | None, np.ndarray | None]
"""An output as expected and as found; None where a side does not have it."""


class _Running:
    """The comparison of an output up to the current batch."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.batches = 0
        self.max_abs = self.difference = 0.0
        self.worst_batch = self.problem = ""
        self.passed = True
        self.in_double = False
        self.padding_rows: float | None = None
        self.nonfinite = (0, 0)
        self.float32 = _Float32()

    def add(self, batch: Batch, float64: Pair, float32: Pair) -> None:
        """Compares the output in one more batch."""
        self.batches += 1
        exact, same = float64
        if exact is not None and same is not None and self._fit(batch, exact, same):
            self.in_double = True
            self._count(exact, same)
            self._compare(batch, exact, same)
        left, right = float32
        if (exact if left is None else left) is None or (same if left is None else right) is None:
            self._fail(batch, "it is missing", np.inf)
        elif left is not None and right is not None and self._fit(batch, left, right):
            if exact is None or same is None:
                self._count(left, right)
            judged = ~batch.padding_rows
            self._report_padding(left[~judged], right[~judged])
            problem = self.float32.add(batch, left[judged], right[judged], None if exact is None else exact[judged])
            if problem:
                self._fail(batch, problem)

    def diff(self) -> OutputDiff:
        """The result over all batches."""
        module, export, rms = self.float32.errors()
        if self.passed and self.in_double and module is not None and export is not None:
            self.passed = export <= ERROR_FACTOR * module + ROUNDINGS * ROUNDING * rms
            if not self.passed:
                worst = self.float32.worst_batch
                self.problem = f"its error in float32 is {export:.3g}, the module's {module:.3g}; worst {worst}"
        elif self.passed and not self.in_double:
            self.passed, self.max_abs, self.worst_batch = self.float32.near()
            if not self.passed:
                self.problem = f"in float32, it differs by {self.max_abs:.3g}, {self.worst_batch}"
        return OutputDiff(
            name=self.name,
            batches=self.batches,
            in_double=self.in_double,
            difference=self.difference,
            max_abs=self.max_abs,
            module_error=module,
            export_error=export,
            rms=rms,
            max_error=self.float32.max_error,
            worst_error=self.float32.worst_batch,
            bit_equal=self.float32.bit_equal,
            nonfinite=self.nonfinite,
            padding_rows=self.padding_rows,
            worst_batch=self.worst_batch,
            passed=self.passed,
            problem=self.problem,
        )

    def _compare(self, batch: Batch, exact: np.ndarray, same: np.ndarray) -> None:
        padded = batch.padding_rows
        self._report_padding(exact[padded], same[padded])
        exact, same = exact[~padded], same[~padded]
        if not equal_nonfinite(exact, same):
            self._fail(batch, f"NaN or Inf on one side only, {batch.label}")
            return
        error, rms = max_error(exact, same), root_mean_square(exact[np.isfinite(exact)])
        self.passed &= error <= MAX_DIFFERENCE * rms
        relative = error / rms if rms else (np.inf if error else 0.0)
        if relative > self.difference or not self.worst_batch:
            self.difference, self.worst_batch = max(relative, self.difference), batch.label
        self.max_abs = max(error, self.max_abs)

    def _report_padding(self, left: np.ndarray, right: np.ndarray) -> None:
        """Keeps the largest difference in rows of padding. In float32 it is larger: -1e9 absorbs the scores there."""
        if left.size:
            self.padding_rows = max(self.padding_rows or 0.0, max_error(left, right))

    def _count(self, left: np.ndarray, right: np.ndarray) -> None:
        """Counts the values that are NaN or infinite, also in rows that are not judged."""
        self.nonfinite = (self.nonfinite[0] + count_nonfinite(left), self.nonfinite[1] + count_nonfinite(right))

    def _fit(self, batch: Batch, left: np.ndarray, right: np.ndarray) -> bool:
        fits = left.shape == right.shape and left.dtype == right.dtype
        if not fits:
            found = f"found {right.dtype} {list(right.shape)}"
            self._fail(batch, f"expected {left.dtype} {list(left.shape)}, {found}", np.inf)
        return fits

    def _fail(self, batch: Batch, problem: str, difference: float = 0.0) -> None:
        """Keeps the first problem, and its batch."""
        if not self.problem:
            self.problem, self.worst_batch = problem, batch.label
        self.passed = False
        self.difference, self.max_abs = max(self.difference, difference), max(self.max_abs, difference)


class _Float32:
    """The errors of both sides in float32 against float64, as sums over the batches up to the current one."""

    def __init__(self) -> None:
        self.bit_equal: bool | None = None
        self.close = True
        self.max_abs = self.max_error = 0.0
        self.worst_batch = ""
        self._squares = np.zeros(3)
        self._elements = 0

    def add(self, batch: Batch, module: np.ndarray, export: np.ndarray, exact: np.ndarray | None) -> str:
        """Adds a batch's outputs. Returns what is wrong with them; "" if nothing is."""
        self.bit_equal = self.bit_equal is not False and module.tobytes() == export.tobytes()
        if not equal_nonfinite(module, export):
            return f"NaN or Inf on one side only, {batch.label}"
        both = np.isfinite(module)
        apart = max_error(module, export)
        self.close &= apart <= FLOAT32_ATOL + FLOAT32_RTOL * root_mean_square(module[both])
        self.max_abs = max(self.max_abs, apart)
        largest = apart
        if exact is not None:
            both &= np.isfinite(exact)
            truth = exact[both]
            own, other = (np.square(side[both] - truth) for side in (module, export))
            self._squares += (own.sum(), other.sum(), np.square(truth).sum())
            self._elements += truth.size
            largest = float(np.sqrt(other.max(initial=0.0)))
        if largest > self.max_error or not self.worst_batch:
            self.max_error, self.worst_batch = max(largest, self.max_error), batch.label
        return ""

    def near(self) -> tuple[bool, float, str]:
        """Whether both sides are close in float32, the largest difference, and the batch that has it."""
        return self.close, self.max_abs, self.worst_batch

    def errors(self) -> tuple[float | None, float | None, float]:
        """The module's and the export's error and the RMS of the output; no errors where there is no float64."""
        if not self._elements:
            return None, None, 0.0
        module, export, rms = (float(np.sqrt(total / self._elements)) for total in self._squares)
        return module, export, rms
