"""Columns of outputs: rows of any length come back as they went in, whatever axes are free."""

import numpy as np
import pytest

from surgery.beam.arrow import column, column_type
from surgery.module import TensorInfo

RANDOM = np.random.default_rng(2)


def nested(value):
    return value.tolist()


@pytest.mark.parametrize(
    ("dtype", "shape", "sizes"),
    [
        ("float32", (None,), [(), (), ()]),
        ("float32", (None, 5), [(5,), (5,)]),
        ("int64", (None, None), [(3,), (1,), (7,)]),
        ("float32", (None, None, 4), [(3, 4), (1, 4), (6, 4)]),
        ("float32", (None, 2, None, None), [(2, 3, 3), (2, 1, 1), (2, 5, 5)]),
        ("float64", (None, None, 2, None), [(2, 2, 3), (0, 2, 3), (4, 2, 1)]),
        ("bool", (None, None), [(2,), (3,)]),
        ("float16", (None, 3), [(3,), (3,)]),
    ],
)
def test_rows_come_back_as_they_went_in(dtype, shape, sizes):
    rows = [(RANDOM.standard_normal(size) * 3).astype(dtype) for size in sizes]
    tensor = TensorInfo(key="x", dtype=dtype, shape=shape)
    found = column(rows, shape[1:], column_type(tensor))
    assert found.type == column_type(tensor)
    found.validate(full=True)
    assert found.to_pylist() == [nested(row) for row in rows]


def test_slices_of_a_padded_batch_are_rows_too():
    batch = RANDOM.standard_normal((2, 4, 6)).astype(np.float32)
    rows = [batch[0, :2], batch[1, :, ::2]]
    found = column(rows, (None, None), column_type(TensorInfo(key="x", dtype="float32", shape=(None, None, None))))
    assert found.to_pylist() == [row.tolist() for row in rows]


def test_no_rows_make_an_empty_column():
    kind = column_type(TensorInfo(key="x", dtype="float32", shape=(None, None, 4)))
    assert column([], (None, 4), kind).to_pylist() == []


def test_strings_and_bfloat16_have_columns_and_what_has_none_says_so():
    assert column(
        [np.array([b"a", b"b"], object)], (None,), column_type(TensorInfo(key="s", dtype="string", shape=(None, None)))
    ).to_pylist() == [[b"a", b"b"]]
    assert column_type(TensorInfo(key="x", dtype="bfloat16", shape=(None, 2))) == column_type(
        TensorInfo(key="x", dtype="float32", shape=(None, 2))
    )
    with pytest.raises(ValueError, match="rank"):
        column_type(TensorInfo(key="x", dtype="float32", shape=None))
    with pytest.raises(ValueError, match="Arrow has no"):
        column_type(TensorInfo(key="x", dtype="resource", shape=(None,)))
