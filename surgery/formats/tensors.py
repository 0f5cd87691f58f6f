"""The values of a TensorProto, without TensorFlow (tensorflow/core/framework/tensor.proto).

tensorboard has a decoder too, but importing it costs a fifth of an `inspect`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from tensorboard.compat.proto import types_pb2

from surgery import limits

FIELDS = {
    "float32": "float_val",
    "float64": "double_val",
    "int32": "int_val",
    "int64": "int64_val",
    "bool": "bool_val",
}
"""Typed fields of a TensorProto, by dtype. Values stand there, or packed in `tensor_content`."""


def to_array(proto: Any) -> np.ndarray | None:
    """The value of a numeric TensorProto; None for other dtypes, such as strings.

    Raises ValueError for values that do not fit the shape, LimitError for more elements than a constant may have: a
    few bytes can stand for any number of equal values.
    """
    dtype = dtype_name(proto.dtype)
    if dtype not in FIELDS:
        return None
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    if min(shape, default=0) < 0:
        raise ValueError(f"a constant of the shape {list(shape)}")
    count = math.prod(shape)
    limits.check("constant_elements", count, "reading a constant")
    if proto.tensor_content:
        return np.frombuffer(proto.tensor_content, dtype).reshape(shape)
    values = np.array(getattr(proto, FIELDS[dtype]), dtype)
    if values.size < count:
        # Repetitions of the last value are left out of the file; no value at all means zeros.
        last = values[-1] if values.size else np.zeros((), dtype)
        values = np.concatenate([values, np.full(count - values.size, last, dtype)])
    return values[:count].reshape(shape)


def dtype_name(number: int) -> str:
    """TensorFlow's Python name of a dtype by its number in DataType: "float32" for `DT_FLOAT`."""
    names = {"float": "float32", "double": "float64", "half": "float16"}
    name: str = types_pb2.DataType.Name(number).removeprefix("DT_").lower()
    return names.get(name, name)


def shape_of(proto: Any) -> Shape | None:
    """The sizes of a TensorShapeProto, None for a free axis; None for an unknown rank."""
    if proto.unknown_rank:
        return None
    return tuple(None if dim.size < 0 else dim.size for dim in proto.dim)


Shape = tuple[int | None, ...]
"""Sizes by axis, None for a free axis. A tensor of unknown rank has the shape None."""
