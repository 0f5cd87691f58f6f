"""Constants of a graph, read with numpy and without, and sizes of dtypes."""

from __future__ import annotations

import math

import ml_dtypes  # noqa: F401  # gives numpy its dtypes
import numpy as np
import pytest
from tensorboard.compat.proto import tensor_pb2, tensor_shape_pb2, types_pb2

from surgery import limits
from surgery.errors import LimitError
from surgery.formats.tensors import FIELDS, ITEM_SIZES, dtype_name, shape_of, to_array, to_float32, to_number
from surgery.graphs.dataflow import shortest_decimal

NUMBERS = {name: number for number in types_pb2.DataType.values() if (name := dtype_name(number)) in FIELDS}


def tensor(dtype: str, shape: tuple[int, ...], values: list[float], *, packed: bool = False) -> tensor_pb2.TensorProto:
    """A TensorProto with its values in their field, or packed as bytes."""
    proto = tensor_pb2.TensorProto(dtype=NUMBERS[dtype])
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    if packed:
        proto.tensor_content = np.array(values, dtype).tobytes()
    else:
        getattr(proto, FIELDS[dtype]).extend(values)
    return proto


@pytest.mark.parametrize("dtype", FIELDS)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_the_number_of_a_constant_is_its_only_element(dtype: str, packed: bool, shape: tuple[int, ...]):
    value = {"float32": to_float32(0.1), "float64": 0.1, "bool": True}.get(dtype, -3)
    proto = tensor(dtype, shape, [value], packed=packed)
    assert to_number(proto) == value == to_array(proto).item()


def test_a_constant_without_values_is_zero():
    assert to_number(tensor("float32", (), [])) == 0 == to_array(tensor("float32", (), [])).item()


def test_only_one_element_of_a_numeric_dtype_is_a_number():
    assert to_number(tensor("float32", (2,), [1.0])) is None
    assert to_number(tensor("float32", (0,), [])) is None
    assert to_number(tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, string_val=[b"a"])) is None


@pytest.mark.parametrize("read", [to_number, to_array])
def test_constants_that_do_not_fit_their_shape_are_damaged(read):
    for damaged in (
        tensor("int32", (), [1, 2], packed=True),
        tensor("float32", (-1,), [1.0]),
        tensor("float32", (1,) * 255, [1.0]),
    ):
        with pytest.raises(ValueError, match=r"a (constant|int32) of|cannot reshape"):
            read(damaged)
    with limits.raised({"constant_elements": 10}), pytest.raises(LimitError, match="constant_elements"):
        read(tensor("float32", (11,), [1.0]))


def test_a_shape_has_no_more_axes_than_a_tensor_can_have():
    proto = tensor_shape_pb2.TensorShapeProto()
    for _ in range(254):
        proto.dim.add(size=2)
    assert len(shape_of(proto)) == 254
    proto.dim.add(size=2)
    with pytest.raises(ValueError, match="255 axes"):
        shape_of(proto)


def test_the_sizes_of_dtypes_are_numpy_s():
    def size(dtype: str) -> int:
        try:
            return np.dtype(dtype).itemsize
        except TypeError:
            return 0

    names = {dtype_name(number) for number in types_pb2.DataType.values()}
    assert {name: ITEM_SIZES.get(name, 0) for name in names} == {name: size(name) for name in names}


def test_numbers_are_rounded_and_written_as_float32_does():
    for value in np.random.default_rng(3).integers(0, 0x7F800000, 2000, np.uint32).view(np.float32).tolist():
        assert to_float32(value) == value
        assert shortest_decimal(value) == float(str(np.float32(value)))
    assert to_float32(0.1) == float(np.float32(0.1))
    assert to_float32(-1e300) == -math.inf
    assert shortest_decimal(math.inf) == math.inf
