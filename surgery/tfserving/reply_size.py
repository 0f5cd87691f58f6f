"""Bytes of a reply of TensorFlow Serving, counted as protobuf and JSON are written.

The gRPC reply is a PredictResponse: a map from output to TensorProto, whose values stand packed in the field of their
dtype (`float_val` and so on, which is how the server writes them), and a ModelSpec. Floats have a fixed width there, so
the count is exact. Integers are varints, counted at the largest size of a non-negative value. No library does this:
protobuf gives the size of a message that exists, and building a reply of gigabytes to measure it is no option.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

LIMIT = 4 * 2**20
"""Bytes that a gRPC client accepts by default: gRPC's default of `max_receive_message_length`."""

FIXED = {"float32": 4, "float64": 8, "complex64": 8, "complex128": 16, "bool": 1}
"""Bytes of a value, by dtype."""
VARYING = {
    "int8": 1,
    "uint8": 2,
    "int16": 3,
    "uint16": 3,
    "int32": 5,
    "int64": 9,
    "uint32": 5,
    "uint64": 10,
    "float16": 3,
    "bfloat16": 3,
}
"""The most bytes of a non-negative value as a varint, by dtype."""
FAR_FIELDS = ("uint32", "uint64")
"""Dtypes whose field number in TensorProto is above 15, which makes its tag two bytes."""

NUMBER_IN_JSON = 12
"""Characters of a float32 as the server writes it: nine significant digits, a point, mostly a zero, often a sign."""
INDENT = 4

Size = tuple[int, ...]
Tensors = Mapping[str, tuple[str, Size]]
"""Dtype and shape by output."""


def is_exact(dtype: str) -> bool:
    """Whether `tensor_bytes` of this dtype is the size, not a bound."""
    return dtype in FIXED


def tensor_bytes(dtype: str, shape: Size) -> int | None:
    """Bytes of a TensorProto of this dtype and shape; None for strings and other dtypes without a known width."""
    width = FIXED.get(dtype, VARYING.get(dtype))
    if width is None:
        return None
    count = math.prod(shape)
    dims = sum(_field(_varint(size) + 1 if size else 0) for size in shape)
    tag = 2 if dtype in FAR_FIELDS else 1
    values = tag + _varint(count * width) + count * width if count else 0
    return 2 + _field(dims) + values


def reply_bytes(outputs: Tensors, model: str, version: int, signature: str) -> int:
    """Bytes of a PredictResponse with these outputs, except those without a known width."""
    total = 0
    for key, (dtype, shape) in outputs.items():
        size = tensor_bytes(dtype, shape)
        if size is not None:
            total += _field(_field(len(key.encode())) + _field(size))
    numbered = _field(1 + _varint(version) if version else 0)
    return total + _field(_field(len(model.encode())) + numbered + _field(len(signature.encode())))


def json_bytes(outputs: Tensors, *, rows: bool) -> int:
    """About as many bytes as the same outputs take in a REST reply. Only float outputs are counted.

    A request with `inputs` is answered by columns, each number on a line of its own and indented by its depth; one with
    `instances` by `rows`, in which a list stays on its line.
    """
    total = 0
    for dtype, shape in outputs.values():
        if dtype.startswith(("float", "bfloat")):
            depth = len(shape) + (2 if len(outputs) > 1 else 1)
            between = 2 if rows else 2 + INDENT * depth
            total += math.prod(shape) * (NUMBER_IN_JSON + between)
    return total


def largest(fits: Callable[[int], bool], most: int = 2**20) -> int:
    """The greatest batch that fits, 0 when none does; `fits` holds up to some batch and not beyond."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def _varint(value: int) -> int:
    """Bytes of a non-negative varint."""
    return max(1, math.ceil(value.bit_length() / 7))


def _field(length: int) -> int:
    """Bytes of a length-delimited field with a one-byte tag."""
    return 1 + _varint(length) + length
