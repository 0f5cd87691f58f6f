"""Random operations that draw the same numbers wherever they have the same number.

Two graphs can then be compared in training: their masks are the same. Every other operation that draws random numbers
stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from surgery.graphs.flat import Node

PHILOX = 1
"""The number of the algorithm Philox (tensorflow/core/framework/rng_alg.h)."""
DT_FLOAT, DT_INT32, DT_UINT64 = 1, 3, 23
WITH_KEY = {
    "RandomUniform": "StatelessRandomUniformV2",
    "StatelessRandomUniform": "StatelessRandomUniformV2",
    "StatelessRandomUniformV2": "StatelessRandomUniformV2",
    "RandomStandardNormal": "StatelessRandomNormalV2",
    "StatelessRandomNormal": "StatelessRandomNormalV2",
    "StatelessRandomNormalV2": "StatelessRandomNormalV2",
}
"""The operation of the same distribution that is keyed, by the type of the operation."""

Write = Callable[[str, str, list[str], dict[str, Any]], str]
"""Writes an operation, given its name, type, inputs and attributes, and returns the name that it has."""


def is_draw(node: Node) -> bool:
    """Whether there is a keyed operation of the same distribution."""
    return node.op in WITH_KEY


def draw(node: Node, number: int, shape: str, write: Write) -> str:
    """The name of an operation whose numbers depend on `number` and on their place only. `shape` is a tensor's name.

    The numbers of [batch, seq, hidden] are those of [batch * seq, hidden]: Philox counts elements.
    """
    value = type(type(node.proto)().attr["dtype"])  # asked for in `node` itself, a missing one would be added
    found = dict(node.proto.attr)
    inputs = [
        shape,
        _constant(write, value, f"{node.path}/key", DT_UINT64, "uint64_val", [number], [1]),
        _constant(write, value, "counter", DT_UINT64, "uint64_val", [0, 0], [2]),
        _constant(write, value, "philox", DT_INT32, "int_val", [PHILOX], []),
    ]
    attributes = {
        "dtype": found["dtype"] if "dtype" in found else value(type=DT_FLOAT),
        "Tshape": found.get("Tshape") or found.get("T") or value(type=DT_INT32),
    }
    return write(node.path, WITH_KEY[node.op], inputs, attributes)


def _constant(
    write: Write, value: Any, name: str, dtype: int, field_name: str, values: list[int], shape: list[int]
) -> str:
    constant = value()
    constant.tensor.dtype = dtype
    constant.tensor.tensor_shape.SetInParent()
    for size in shape:
        constant.tensor.tensor_shape.dim.add(size=size)
    getattr(constant.tensor, field_name).extend(values)
    return f"{write(name, 'Const', [], {'dtype': value(type=dtype), 'value': constant})}:0"
