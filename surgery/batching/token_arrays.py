"""The tokens of a batch as numpy arrays: lists and arrays of integers, of which no number may change."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from surgery.batching.token_inputs import SPELLINGS, completed
from surgery.errors import UsageError


def token_arrays(
    given: Mapping[str, Any], *, pad: int = 0, taken: Collection[str] = tuple(SPELLINGS)
) -> dict[str, np.ndarray]:
    """The inputs that a call takes, int32 [batch, seq], from what surgery.batching.token_inputs.named found.

    Raises UsageError as `completed`, also for lists of unequal length, lists of other numbers than integers, and
    integers that int32 cannot hold.
    """
    found: dict[str, np.ndarray] = completed(
        {name: _array(name, value) for name, value in given.items()}, exactly, pad=pad, taken=taken
    )
    return found


def _array(name: str, value: Any) -> np.ndarray:
    try:
        return np.asarray(value)
    except ValueError:
        raise UsageError(
            f"{name} has lists of unequal length, expected [batch, seq]",
            hint="fill the shorter ones with the id of padding, and give a mask that is 0 there",
        ) from None


def exactly(value: np.ndarray, dtype: npt.DTypeLike) -> np.ndarray:
    """An array as another dtype of integers. Raises UsageError for a number that it cannot hold."""
    with np.errstate(invalid="ignore"):  # NaN and infinity
        cast: np.ndarray = value.astype(dtype)
    if not np.array_equal(cast, value):
        raise UsageError(f"the inputs have {value[cast != value][0]}, which is no {np.dtype(dtype)}")
    return cast
