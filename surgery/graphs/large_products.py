"""A product with a large float32 kernel, computed in float64 in parts: one part of the kernel is widened at a time.

A column of a product depends on its column of the kernel alone, so the parts are the whole, to the bit but for the
order in which a kernel of TensorFlow adds. The word embeddings of BERT-base, with which `.mlm` multiplies, would take
187 MB in float64.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from surgery.graphs.names import unused
from surgery.graphs.reach import owner
from surgery.graphs.widening import FLOAT, cast, copy_attributes

LARGE = 2**22
"""The most elements of a kernel that is widened as a whole, and of a part: 32 MiB in float64."""
INT32 = 3
"""DT_INT32 (tensorflow/core/framework/types.proto)."""


@dataclass(frozen=True, kw_only=True)
class Product:
    """A MatMul of a float64 tensor by a float32 one.

    Attributes:
        node: The operation, in float32.
        kernel: The shape of its second operand, [in, out], or [out, in] where it is transposed.
        taken: Names that the graph has, to which those of the parts are added.
    """

    node: Any
    kernel: Sequence[int]
    taken: set[str]


def in_parts(graph_def: Any, product: Product, exact: Mapping[float, float]) -> None:
    """Writes a product: each part of the kernel is sliced and widened when the product before it is there."""
    node, sizes = product.node, list(product.kernel)
    left, right = node.input[:2]
    axis = 0 if node.attr["transpose_b"].b else 1
    columns = sizes[axis]
    step = max(1, LARGE // (sizes[1 - axis] or 1))
    parts: list[str] = []
    after = owner(left)
    for start in range(0, columns, step):
        begin, size = [0, 0], list(sizes)
        begin[axis], size[axis] = start, min(step, columns - start)
        inputs = [right, _integers(graph_def, product, "begin", begin), _integers(graph_def, product, "size", size)]
        part = graph_def.node.add(name=_name(product, "part"), op="Slice", input=[*inputs, f"^{after}"])
        part.attr["T"].type, part.attr["Index"].type = FLOAT, INT32
        widened = _name(product, "widened")
        cast(graph_def.node.add(), widened, [f"{part.name}:0"])
        columns_of = graph_def.node.add(name=_name(product, "columns"), op=node.op, input=[left, f"{widened}:0"])
        copy_attributes(columns_of, node, exact)
        parts.append(f"{columns_of.name}:0")
        after = columns_of.name
    joined = graph_def.node.add(name=node.name, op="ConcatV2")
    joined.input.extend([*parts, _integers(graph_def, product, "axis", [1], scalar=True)])
    joined.attr["T"].CopyFrom(columns_of.attr["T"])
    joined.attr["N"].i, joined.attr["Tidx"].type = len(parts), INT32


def _integers(graph_def: Any, product: Product, name: str, values: Sequence[int], *, scalar: bool = False) -> str:
    node = graph_def.node.add(name=_name(product, name), op="Const")
    node.attr["dtype"].type = node.attr["value"].tensor.dtype = INT32
    node.attr["value"].tensor.int_val.extend(values)
    node.attr["value"].tensor.tensor_shape.SetInParent()
    if not scalar:
        node.attr["value"].tensor.tensor_shape.dim.add(size=len(values))
    return f"{node.name}:0"


def _name(product: Product, name: str) -> str:
    return unused(f"{product.node.name}/{name}", product.taken)
