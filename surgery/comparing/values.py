"""Two values of one weight, compared in blocks of rows: bits, size of the difference, direction, and rows that changed.

Numbers are widened to float64 one block at a time, so that a word embedding of 94 MB needs a few more megabytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

BLOCK = 2**16
"""Elements that are widened at once: 512 KiB in float64, which the cache of a processor holds."""
FARTHEST = 20
"""Rows that are listed with how far they moved."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row that changed.

    Attributes:
        row: Its number.
        difference: RMS of its difference, relative to the RMS of the whole weight in A; None where that is 0.
    """

    row: int
    difference: float | None


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The rows of a weight of two or more axes that changed. A row is what has one index of the first axis.

    Attributes:
        count: How many changed.
        of: How many there are.
        ranges: The numbers of those that changed, as ranges [first, last].
        farthest: Those that moved farthest, at most FARTHEST, farthest first.
    """

    count: int
    of: int
    ranges: tuple[tuple[int, int], ...]
    farthest: tuple[Row, ...]


@dataclass(frozen=True, kw_only=True)
class ValueDifference:
    """Two values that differ in at least one bit.

    Attributes:
        elements: Elements that were compared.
        changed: Elements whose bits differ; of two dtypes, those whose numbers differ.
        rms: RMS of the difference.
        rms_a: RMS of the value in A.
        rms_b: RMS of the value in B.
        cosine: Cosine of the two values, taken as vectors; None where one of them is 0.
        largest: The largest difference of two elements.
        nonfinite: Elements that are NaN or infinite on either side, and changed. The numbers above leave them out.
        rows: The rows that changed; None for a weight of fewer than two axes.
    """

    elements: int
    changed: int
    rms: float
    rms_a: float
    rms_b: float
    cosine: float | None
    largest: float
    nonfinite: int
    rows: Rows | None

    @property
    def relative(self) -> float | None:
        """`rms` relative to the RMS of the value in A; None where that is 0."""
        return self.rms / self.rms_a if self.rms_a else None


def difference(a: np.ndarray, b: np.ndarray) -> ValueDifference | None:
    """The difference of two arrays of one shape; None if every bit is equal, or every number of two dtypes is.

    Arrays of strings differ by elements only: their other numbers are 0 or None. Real and imaginary parts of complex
    numbers are elements of their own. Raises ValueError for two shapes.
    """
    if a.shape != b.shape:
        raise ValueError(f"values of the shapes {list(a.shape)} and {list(b.shape)} cannot be compared")
    if np.iscomplexobj(a) != np.iscomplexobj(b):
        a, b = (array.astype(np.complex128) for array in (a, b))
    a, b = _real(a), _real(b)
    return None if all(not changed.any() for *_, changed in _changes(a, b)) else _measured(a, b)


def _measured(a: np.ndarray, b: np.ndarray) -> ValueDifference:
    left, right = _matrix(a), _matrix(b)
    squares, counts = np.zeros(len(left)), np.zeros(len(left), np.int64)
    norms = np.zeros(3)  # of A, of B, and their product
    largest, nonfinite, left_out = 0.0, 0, 0
    for rows, columns, changed in _changes(a, b):
        counts[rows] += changed.sum(axis=1)
        if object in (a.dtype, b.dtype):
            continue
        one, other = _numbers(left[rows, columns]), _numbers(right[rows, columns])
        with np.errstate(invalid="ignore"):  # infinity less infinity
            gap = one - other
        if not math.isfinite(_dot(gap, gap)):
            finite = np.isfinite(one) & np.isfinite(other)
            nonfinite += int(np.count_nonzero(changed & ~finite))
            left_out += int(np.count_nonzero(~finite))
            one, other = np.where(finite, one, 0), np.where(finite, other, 0)
            gap = one - other
        squares[rows] += np.einsum("ij,ij->i", gap, gap)
        norms += [_dot(one, one), _dot(other, other), _dot(one, other)]
        largest = max(largest, float(gap.max(initial=0)), -float(gap.min(initial=0)))
    rms, own, other_own = (
        math.sqrt(float(total) / max(a.size - left_out, 1)) for total in (squares.sum(), norms[0], norms[1])
    )
    lengths = math.sqrt(norms[0]) * math.sqrt(norms[1])
    return ValueDifference(
        elements=a.size,
        changed=int(counts.sum()),
        rms=rms,
        rms_a=own,
        rms_b=other_own,
        cosine=max(-1.0, min(1.0, float(norms[2]) / lengths)) if lengths else None,
        largest=largest,
        nonfinite=nonfinite,
        rows=_rows(counts, squares, left.shape[1], own) if a.ndim > 1 else None,
    )


def _dot(one: np.ndarray, other: np.ndarray) -> float:
    """The sum of the products. BLAS would start threads for it, which wait for one another on a busy machine."""
    return float(np.einsum("ij,ij->", one, other))


def _rows(counts: np.ndarray, squares: np.ndarray, width: int, own: float) -> Rows:
    numbers = np.flatnonzero(counts)
    breaks = np.flatnonzero(np.diff(numbers) > 1) + 1
    order = np.argsort(-squares[numbers], kind="stable")[:FARTHEST]
    return Rows(
        count=len(numbers),
        of=len(counts),
        ranges=tuple((int(run[0]), int(run[-1])) for run in np.split(numbers, breaks)),
        farthest=tuple(
            Row(row=int(row), difference=math.sqrt(squares[row] / width) / own if own else None)
            for row in numbers[order]
        ),
    )


def _changes(a: np.ndarray, b: np.ndarray) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """Blocks of rows and columns, and which elements of each differ."""
    left, right = _matrix(a), _matrix(b)
    height = max(1, BLOCK // max(1, left.shape[1]))
    for top in range(0, left.shape[0], height):
        for begin in range(0, left.shape[1], BLOCK):
            rows, columns = slice(top, top + height), slice(begin, begin + BLOCK)
            yield rows, columns, _differing(left[rows, columns], right[rows, columns])


def _differing(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Which elements differ: by their bits, so that NaN is equal to itself and 0 is not -0; of two dtypes by value."""
    if object in (one.dtype, other.dtype):
        return np.asarray(one != other, bool)
    if one.dtype == other.dtype:
        word = f"u{one.dtype.itemsize}"
        return np.asarray(np.ascontiguousarray(one).view(word) != np.ascontiguousarray(other).view(word))
    wide = (_numbers(one), _numbers(other))
    differing = wide[0] != wide[1]
    if any(part.dtype.kind in "iu" and part.dtype.itemsize > 4 for part in (one, other)):
        # float64 rounds them, Python's numbers do not.
        differing = np.asarray(one.astype(object) != other.astype(object), bool)
    return np.asarray(differing & ~(np.isnan(wide[0]) & np.isnan(wide[1])))


def _real(array: np.ndarray) -> np.ndarray:
    """Complex numbers as pairs along the last axis; other arrays as they are."""
    if not np.issubdtype(array.dtype, np.complexfloating):
        return array
    return np.ascontiguousarray(array).view(f"f{array.dtype.itemsize // 2}")


def _matrix(array: np.ndarray) -> np.ndarray:
    """An array as [rows, elements of a row]; one of fewer than two axes is one row."""
    if array.size == 0:
        return array.reshape(0, 0)
    return array.reshape(len(array), -1) if array.ndim > 1 else array.reshape(1, -1)


def _numbers(part: np.ndarray) -> np.ndarray:
    wide: np.ndarray = part.astype(np.float64)
    return wide


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays hold the same bytes in the same order, whatever their shapes."""
    return a.dtype == b.dtype and a.size == b.size and difference(a.reshape(-1), b.reshape(-1)) is None


def sample(array: np.ndarray) -> tuple[Any, ...]:
    """A few elements of an array, by which equal arrays are found without comparing all with all."""
    flat = array.reshape(-1)
    picked = flat[:: max(1, flat.size // 32)]
    return (str(array.dtype), array.shape, tuple(picked) if array.dtype == object else picked.tobytes())
