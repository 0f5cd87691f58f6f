"""The values of a TensorProto, without TensorFlow (tensorflow/core/framework/tensor.proto).

tensorboard has a decoder too, but importing it costs a fifth of an `inspect`. Importing numpy costs another fifth, so
only a function that returns an array imports it.
"""

from __future__ import annotations

import math
import struct
from functools import cache
from typing import TYPE_CHECKING, Any

from tensorboard.compat.proto import types_pb2

from surgery import limits

if TYPE_CHECKING:
    import numpy as np

FIELDS = {
    "float32": "float_val",
    "float64": "double_val",
    "int32": "int_val",
    "int64": "int64_val",
    "bool": "bool_val",
}
"""Typed fields of a TensorProto, by dtype. Values stand there, or packed in `tensor_content`."""
PACKED = {"float32": "<f", "float64": "<d", "int32": "<i", "int64": "<q", "bool": "<?"}
"""One value in `tensor_content`, by dtype, as the module struct describes it."""
ITEM_SIZES = {
    **dict.fromkeys(("bool", "int8", "uint8", "int4", "uint4", "int2", "uint2"), 1),
    **dict.fromkeys(("float8_e5m2", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e4m3b11fnuz", "float8_e5m2fnuz"), 1),
    **dict.fromkeys(("float16", "bfloat16", "int16", "uint16"), 2),
    **dict.fromkeys(("float32", "int32", "uint32"), 4),
    **dict.fromkeys(("float64", "int64", "uint64", "complex64"), 8),
    "complex128": 16,
}
"""Bytes of an element by dtype, of the dtypes that have a fixed size in numpy or ml_dtypes."""
MOST_AXES = 254
"""The most axes of a tensor in TensorFlow, which aborts for more."""


def to_number(proto: Any) -> float | None:
    """The value of a numeric TensorProto with one element, of any rank; None for other dtypes and other sizes.

    Raises as `to_array` does.
    """
    dtype = dtype_name(proto.dtype)
    if dtype not in FIELDS or math.prod(_constant_shape(proto)) != 1:
        return None
    if not proto.tensor_content:
        values = getattr(proto, FIELDS[dtype])
        number: float = values[0] if values else 0
        return number
    if len(proto.tensor_content) != struct.calcsize(PACKED[dtype]):
        raise ValueError(f"a {dtype} of {len(proto.tensor_content)} bytes")
    (number,) = struct.unpack(PACKED[dtype], proto.tensor_content)
    return number


def to_array(proto: Any) -> np.ndarray | None:
    """The value of a numeric TensorProto; None for other dtypes, such as strings.

    Raises ValueError for values that do not fit the shape, LimitError for more elements than a constant may have: a
    few bytes can stand for any number of equal values.
    """
    import numpy as np

    dtype = dtype_name(proto.dtype)
    if dtype not in FIELDS:
        return None
    shape = _constant_shape(proto)
    count = math.prod(shape)
    if proto.tensor_content:
        return np.frombuffer(proto.tensor_content, dtype).reshape(shape)
    values = np.array(getattr(proto, FIELDS[dtype]), dtype)
    if values.size < count:
        # Repetitions of the last value are left out of the file; no value at all means zeros.
        last = values[-1] if values.size else np.zeros((), dtype)
        values = np.concatenate([values, np.full(count - values.size, last, dtype)])
    return values[:count].reshape(shape)


def _constant_shape(proto: Any) -> tuple[int, ...]:
    """The shape of a TensorProto, whose element count is within its limit."""
    shape = tuple(dim.size for dim in proto.tensor_shape.dim[: MOST_AXES + 1])
    if min(shape, default=0) < 0 or len(shape) > MOST_AXES:
        raise ValueError(f"a constant of the shape {list(shape)}")
    limits.check("constant_elements", math.prod(shape), "reading a constant")
    return shape


def to_float32(value: float) -> float:
    """The nearest value of the dtype float32; infinity for a larger one."""
    try:
        (rounded,) = struct.unpack("<f", struct.pack("<f", value))
    except OverflowError:
        return math.copysign(math.inf, value)
    return float(rounded)


@cache
def dtype_name(number: int) -> str:
    """TensorFlow's Python name of a dtype by its number in DataType: "float32" for `DT_FLOAT`."""
    names = {"float": "float32", "double": "float64", "half": "float16"}
    name: str = types_pb2.DataType.Name(number).removeprefix("DT_").lower()
    return names.get(name, name)


def shape_of(proto: Any) -> Shape | None:
    """The sizes of a TensorShapeProto, None for a free axis; None for an unknown rank.

    Raises ValueError for more axes than a tensor can have: their product may be a number of any length.
    """
    if proto.unknown_rank:
        return None
    if len(proto.dim) > MOST_AXES:
        raise ValueError(f"a tensor with {len(proto.dim)} axes")
    return tuple(None if dim.size < 0 else dim.size for dim in proto.dim)


Shape = tuple[int | None, ...]
"""Sizes by axis, None for a free axis. A tensor of unknown rank has the shape None."""
