"""Numbers about arrays that are compared: their size, their largest difference, and values that are not finite."""

from __future__ import annotations

import numpy as np


def count_nonfinite(array: np.ndarray) -> int:
    """The number of values that are NaN or infinite. A finite sum proves that none is, at a fraction of the cost."""
    if array.dtype.kind != "f" or np.isfinite(array.sum(dtype=np.float64)):
        return 0
    return int(array.size - np.isfinite(array).sum())


def equal_nonfinite(left: np.ndarray, right: np.ndarray) -> bool:
    """Whether both arrays have the same NaN and infinite values in the same places."""
    finite, also_finite = np.isfinite(left), np.isfinite(right)
    if finite.all() and also_finite.all():
        return True
    return bool((finite == also_finite).all()) and np.array_equal(left[~finite], right[~finite], equal_nan=True)


def root_mean_square(array: np.ndarray) -> float:
    """The root mean square of finite values; 0 for an empty array.

    Values whose squares are no float64 are divided by the largest first: an infinite measure would let anything pass.
    """
    if not array.size:
        return 0.0
    with np.errstate(over="ignore"):
        found = float(np.sqrt(np.mean(np.square(array, dtype=np.float64))))
    if np.isfinite(found):
        return found
    largest = float(np.max(np.abs(array)))
    return largest * float(np.sqrt(np.mean(np.square(array / largest, dtype=np.float64))))


def max_error(left: np.ndarray, right: np.ndarray) -> float:
    """The largest absolute difference where both are finite."""
    both = np.isfinite(left) & np.isfinite(right)
    return float(np.max(np.abs(left[both] - right[both]), initial=0.0))
