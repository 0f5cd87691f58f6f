"""Constants of BERT's formulas, of which graphs hold float32 roundings.

One graph divides by float32(√8) where another multiplies by float32(1/√8): the functions are the same, and their values
differ by 3e-8, in double precision, too. So do dropouts: until TensorFlow 1.13 they divided by 0.9, and later ones
multiply by 1/0.9. There, the exact value takes the place of every constant that is within one unit in the last place of
it, on both sides.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

LARGEST_ROOT = 4096
"""The largest d of which √d and 1/√d are recognised. The head size of BERT is 64."""


class Formula(NamedTuple):
    """A formula and its value.

    Attributes:
        name: The formula, as it is written.
        value: Its exact value, rounded to float64.
    """

    name: str
    value: float


GELU = (
    Formula("√(2/π)", math.sqrt(2 / math.pi)),
    Formula("0.044715", 0.044715),
    Formula("0.044715·√(2/π)", 0.044715 * math.sqrt(2 / math.pi)),
)
"""Constants of GELU's approximation by tanh (arXiv:1606.08415, section 2)."""


def formula_of(constant: float) -> Formula | None:
    """The formula whose value a float32 constant rounds, to within one unit in the last place; None if there is none.

    float32 holds some values exactly, such as 1/√64: of these there is no rounding, and any other constant is another
    value.
    """
    if constant < 0:
        positive = formula_of(-constant)
        return Formula(f"-{positive.name}", -positive.value) if positive else None
    for formula in (*GELU, *_hundredths(constant), *_roots(constant)):
        spacing = float(np.spacing(np.float32(formula.value)))
        if float(np.float32(formula.value)) != formula.value and abs(constant - formula.value) <= spacing:
            return formula
    return None


def exact_values(constants: Iterable[float]) -> dict[float, Formula]:
    """The formulas that float32 constants round, by the constant."""
    found = {constant: formula_of(constant) for constant in constants}
    return {constant: formula for constant, formula in found.items() if formula is not None}


def as_computed(value: float) -> float:
    """The float64 value with which double precision computes where a graph holds this value in float32."""
    rounded = float(np.float32(value))
    formula = formula_of(rounded)
    return rounded if formula is None else formula.value


def _hundredths(constant: float) -> list[Formula]:
    """The share of whole hundredths that comes closest to the constant, and the inverse of such a share."""
    found = []
    if 0 < constant < 1 and 0 < (hundredths := round(constant * 100)) < 100:
        found.append(Formula(f"{hundredths / 100}", hundredths / 100))
    if constant > 1 and 0 < (hundredths := round(100 / constant)) < 100:
        found.append(Formula(f"1/{hundredths / 100}", 100 / hundredths))
    return found


def _roots(constant: float) -> list[Formula]:
    """√d and 1/√d for the whole number d that comes closest to the constant."""
    if not 1 / math.sqrt(LARGEST_ROOT) <= constant <= math.sqrt(LARGEST_ROOT):
        return []
    square, inverse = round(constant**2), round(1 / constant**2)
    found = [Formula(_root(square), math.sqrt(square))] if square else []
    return [*found, Formula(f"1/{_root(inverse)}", 1 / math.sqrt(inverse))] if inverse else found


def _root(square: int) -> str:
    whole = math.isqrt(square)
    return str(whole) if whole**2 == square else f"√{square}"
