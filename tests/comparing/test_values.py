"""Two values of one weight: every number against numpy's own, in blocks of any size."""

from __future__ import annotations

import tracemalloc

import ml_dtypes
import numpy as np
import pytest

from surgery.comparing import values
from surgery.comparing.values import difference, same_bits


@pytest.fixture(params=[5, 2**19], ids=["small blocks", "blocks"])
def blocks(request, monkeypatch):
    monkeypatch.setattr(values, "BLOCK", request.param)


def two(shape=(40, 3, 4), rows=(3, 4, 5, 7, 39)):
    one = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    other = one.copy()
    other[list(rows)] *= np.float32(1.01)
    return one, other


@pytest.mark.usefixtures("blocks")
def test_every_number_of_a_difference_is_numpys():
    one, other = two()
    found = difference(one, other)
    a, b = one.astype(np.float64).ravel(), other.astype(np.float64).ravel()
    assert found.changed == np.count_nonzero(one != other)
    assert found.elements == one.size
    assert found.rms == pytest.approx(np.sqrt(np.mean((a - b) ** 2)))
    assert found.relative == pytest.approx(found.rms / np.sqrt(np.mean(a**2)))
    assert found.cosine == pytest.approx(a @ b / np.sqrt((a @ a) * (b @ b)), abs=1e-15)
    assert found.largest == np.abs(a - b).max()
    assert (found.rows.count, found.rows.of, found.rows.ranges) == (5, 40, ((3, 5), (7, 7), (39, 39)))
    sizes = np.sqrt(np.mean((a - b).reshape(40, -1) ** 2, axis=1))
    assert [row.row for row in found.rows.farthest] == list(np.argsort(-sizes)[:5])
    assert found.rows.farthest[0].difference == pytest.approx(sizes.max() / np.sqrt(np.mean(a**2)))


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool", "bfloat16", "complex64", "object"])
def test_equal_values_of_any_dtype_have_no_difference_and_others_have_one(dtype):
    kind = ml_dtypes.bfloat16 if dtype == "bfloat16" else object if dtype == "object" else dtype
    one = np.arange(24).reshape(4, 6).astype(kind)
    assert difference(one, one.copy()) is None
    other = one.copy()
    other[2, 3] = 0
    assert difference(one, other).rows.ranges == ((2, 2),)
    assert difference(one.ravel(), other.ravel()).rows is None
    assert difference(one[2:3, 3].reshape(()), other[2:3, 3].reshape(())).changed == 1


def test_bits_decide_and_numbers_that_are_not_finite_are_counted():
    one = np.array([np.nan, 0.0, 1.0, 2.0], np.float32)
    assert difference(one, one.copy()) is None
    assert difference(one, np.array([np.nan, -0.0, 1, 2], np.float32)).rms == 0
    found = difference(one, np.array([np.inf, 0, np.inf, 4], np.float32))
    assert (found.changed, found.nonfinite, found.largest) == (3, 2, 2)
    assert found.rms == pytest.approx(np.sqrt(4 / 2))
    assert difference(np.array([np.inf, 1.0]), np.array([np.inf, 2.0])).nonfinite == 0


def test_two_dtypes_are_compared_by_their_numbers():
    half = np.array([[1.5, 2.0]], np.float16)
    assert difference(half, half.astype(np.float32)) is None
    assert difference(half, half.astype(np.float32) + np.float32(1e-6)).changed == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.array([2**53 + 1, 3]), np.array([2.0**53, 3])),
        (np.array([2**63 + 1, 3], np.uint64), np.array([2.0**63, 3])),
        (np.array([-1, 3]), np.array([2**64 - 1, 3], np.uint64)),
    ],
)
def test_integers_that_no_float_can_hold_are_not_rounded_before_they_are_compared(one, other):
    assert difference(one, other).changed == difference(other, one).changed == 1
    assert difference(one[1:], other[1:]) is None


def test_complex_numbers_are_compared_with_real_ones():
    real = np.array([[1.5, 2.0]], np.float32)
    assert difference(real.astype(np.complex64), real) is None
    assert difference(real, real.astype(np.complex64) + 1j).changed == 2
    assert difference(real[0, 0], real[0, 0].astype(np.complex64)) is None


def test_nothing_has_nothing_in_common_with_numbers():
    zeros = np.zeros((2, 2), np.float32)
    found = difference(zeros, zeros + 1)
    assert (found.relative, found.cosine, found.rms) == (None, None, 1.0)
    assert difference(np.zeros((0, 3)), np.zeros((0, 3))) is None
    with pytest.raises(ValueError, match="shapes"):
        difference(zeros, zeros.ravel())
    assert same_bits(zeros, zeros.ravel())


def test_large_values_are_widened_in_blocks():
    one, other = np.zeros((2**12, 2**11), np.float32), np.ones((2**12, 2**11), np.float32)  # 64 MiB in float64
    tracemalloc.start()
    difference(one, other)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**25  # the values themselves, of which no copy is made, have as much each
