"""How far a runtime's output is from the reference, over all batches, and whether that is within a tolerance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scripts.tools.runtimes.programs.exchange import Arrays
from surgery.proof.arrays import equal_nonfinite, max_error, root_mean_square


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """The bound on an output's largest error, `atol + rtol * RMS(expected)`.

    Attributes:
        atol: The absolute part.
        rtol: The part relative to the RMS of the expected tensor.
    """

    atol: float
    rtol: float


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The comparison of one output over all batches.

    Attributes:
        name: The output's name.
        max_abs: The largest absolute error; infinite where values cannot be compared.
        relative: The largest error divided by the RMS of its expected tensor.
        passed: Whether the output passes.
        problem: What else is wrong, such as another shape; "" if nothing is.
    """

    name: str
    max_abs: float
    relative: float
    passed: bool
    problem: str = ""


def compare(
    name: str, inputs: Sequence[Arrays], wanted: Sequence[Arrays], found: Sequence[Arrays], tolerance: Tolerance
) -> Difference:
    """Compares an output in every batch. Rows of nothing but padding are not judged."""
    max_abs = relative = 0.0
    passed = True
    for given, left, right in zip(inputs, (o[name] for o in wanted), (o[name] for o in found), strict=True):
        if left.shape != right.shape or left.dtype != right.dtype:
            problem = f"expected {left.dtype} {list(left.shape)}, found {right.dtype} {list(right.shape)}"
            return Difference(name=name, max_abs=np.inf, relative=np.inf, passed=False, problem=problem)
        if "input_mask" in given:
            judged = np.any(given["input_mask"] != 0, axis=1)
            left, right = left[judged], right[judged]
        if not equal_nonfinite(left, right):
            problem = "NaN or Inf on one side only"
            return Difference(name=name, max_abs=np.inf, relative=np.inf, passed=False, problem=problem)
        error, rms = max_error(left, right), root_mean_square(left[np.isfinite(left)])
        passed &= error <= tolerance.atol + tolerance.rtol * rms
        max_abs, relative = max(max_abs, error), max(relative, error / rms if rms else 0.0)
    return Difference(name=name, max_abs=max_abs, relative=relative, passed=passed)
