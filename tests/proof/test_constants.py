"""Which formula's value a float32 constant rounds, and which constants are left as they are."""

from __future__ import annotations

import math

import numpy as np
import pytest

from surgery.proof.constants import LARGEST_ROOT, exact_values, formula_of


def float32(value: float) -> float:
    return float(np.float32(value))


def neighbours(value: float, steps: int) -> list[float]:
    """The float32 numbers that lie `steps` below and above the one that is nearest to a value."""
    found = []
    for direction in (-np.inf, np.inf):
        number = np.float32(value)
        for _ in range(steps):
            number = np.nextafter(number, np.float32(direction))
        found.append(float(number))
    return found


ROUNDED = {
    "√2": math.sqrt(2),
    "1/√2": math.sqrt(0.5),
    "√8": math.sqrt(8),
    "1/√8": 1 / math.sqrt(8),
    "1/√4095": 1 / math.sqrt(4095),
    "√4095": math.sqrt(4095),
    "1/√10": math.sqrt(0.1),
    "0.1": 0.1,
    "0.9": 0.9,
    "0.95": 0.95,
    "1/0.9": 1 / 0.9,
    "1/0.33": 1 / 0.33,
    "√(2/π)": math.sqrt(2 / math.pi),
    "0.044715": 0.044715,
    "0.044715·√(2/π)": 0.044715 * math.sqrt(2 / math.pi),
}


@pytest.mark.parametrize("name", ROUNDED)
def test_a_rounding_and_its_neighbours_are_recognised_and_no_others(name):
    value = ROUNDED[name]
    for constant in (float32(value), *neighbours(value, 1)):
        found = formula_of(constant)
        close = abs(constant - value) <= float(np.spacing(np.float32(value)))
        assert (found is not None) == close
        if found is not None:
            assert found.name == name
            assert found.value == pytest.approx(value, rel=1e-15)
    assert formula_of(float32(value)) is not None
    assert [formula_of(constant) for constant in neighbours(value, 2)] == [None, None]


def test_every_root_up_to_the_largest_is_exact_to_float64():
    for square in range(2, LARGEST_ROOT):
        for value in (math.sqrt(square), 1 / math.sqrt(square)):
            found = formula_of(float32(value))
            if float32(value) == value:
                assert found is None
            else:
                assert found is not None
                assert found.value == pytest.approx(value, rel=4e-16), square


def test_every_share_of_hundredths_and_its_inverse_is_exact_to_float64():
    for hundredths in range(1, 100):
        for value in (hundredths / 100, 100 / hundredths):
            found = formula_of(float32(value))
            if float32(value) == value:
                assert found is None
            else:
                assert found is not None
                assert found.value == pytest.approx(value, rel=4e-16), hundredths


def test_a_negative_constant_rounds_the_negative_formula():
    found = formula_of(float32(-math.sqrt(0.5)))
    assert found is not None
    assert (found.name, found.value) == ("-1/√2", -1 / math.sqrt(2))


@pytest.mark.parametrize("value", [1.0, 0.125, 0.5, 2.0, 8.0, 64.0])
def test_what_float32_holds_exactly_has_no_roundings_so_that_its_neighbours_are_other_values(value):
    assert [formula_of(constant) for constant in (value, *neighbours(value, 1))] == [None] * 3


@pytest.mark.parametrize(
    "value", [0.0, -0.0, math.nan, math.inf, -math.inf, 1e-12, 1e-45, -10000.0, -1e9, 0.901, 1.702]
)
def test_other_constants_are_left_as_they_are(value):
    assert formula_of(float32(value)) is None


def test_a_constant_that_is_changed_by_a_ten_thousandth_is_another_one():
    for value in ROUNDED.values():
        assert formula_of(float32(value * 1.0001)) is None


def test_the_formulas_of_many_constants_are_found_by_constant():
    found = exact_values([float32(0.044715), 1.0, float32(math.sqrt(2)), float32(0.901)])
    assert {constant: formula.name for constant, formula in found.items()} == {
        float32(0.044715): "0.044715",
        float32(math.sqrt(2)): "√2",
    }
