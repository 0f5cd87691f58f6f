"""The operations that compute a tensor of a flat graph: walks against the flow of data, reshapes, and constants."""

from __future__ import annotations

from collections.abc import Iterator

from surgery.formats.tensors import to_float32, to_number
from surgery.graphs.fingerprints import see_through
from surgery.graphs.flat import Node, Tensor

SHAPES = frozenset({"Reshape", "Identity", "Transpose", "ExpandDims", "Squeeze", "Cast"})
"""Operations that hand on a tensor's elements unchanged."""
PRODUCTS = frozenset({"Einsum", "MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"})
"""Operations that multiply matrices."""
SUMS = frozenset({"Add", "AddV2", "BiasAdd"})
"""Operations that add two tensors."""
VALUELESS = frozenset({"Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike", "Const"})
"""Operations whose output depends on no value of an input, at most on its shape."""
FLOAT32_DIGITS = 9
"""The digits that tell every float32 from its neighbours."""


def upstream(tensor: Tensor, stop: frozenset[str] = frozenset()) -> Iterator[Node]:
    """The node of a tensor and the nodes from which it is computed, nearest first; not beyond operations in `stop`."""
    queue, seen = [tensor.node], {tensor.node}
    for node in queue:
        yield node
        if node.op in stop and node is not tensor.node:
            continue
        for feed in node.inputs:
            if feed.node not in seen:
                seen.add(feed.node)
                queue.append(feed.node)


def between(end: Tensor, start: Node) -> tuple[Node, ...] | None:
    """Nodes on the way from `start` (excluded) to `end`; None when `start` does not lead there."""
    queue, seen, reached = [end.node], {end.node}, False
    found = []
    for node in queue:
        if node is start:
            reached = True
            continue
        found.append(node)
        for feed in node.inputs:
            if feed.node not in seen and node.op not in PRODUCTS:
                seen.add(feed.node)
                queue.append(feed.node)
    return tuple(found) if reached else None


def through_shapes(tensor: Tensor) -> Tensor:
    """The tensor behind operations that only pass it on or reshape it."""
    tensor = see_through(tensor)
    while tensor.node.op in SHAPES:
        tensor = see_through(tensor.node.inputs[0])
    return tensor


def constant(tensor: Tensor) -> float | None:
    """The number of a constant with one element, seen through casts and identities; None for anything else.

    So is what a graph computes of constants alone: `1 - rate`, which TF 1.13 left to it, and a scale `rsqrt(size)`.
    """
    tensor = see_through(tensor)
    while tensor.node.op == "Cast":
        tensor = see_through(tensor.node.inputs[0])
    if tensor.node.op == "Rsqrt":
        value = constant(tensor.node.inputs[0])
        return None if value is None or value <= 0 else to_float32(value**-0.5)
    if tensor.node.op == "Sub":
        left, right = (constant(feed) for feed in tensor.node.inputs)
        return None if left is None or right is None else to_float32(left - right)
    return to_number(tensor.node.attr["value"].tensor) if tensor.node.op == "Const" else None


def shortest_decimal(value: float) -> float:
    """The shortest decimal with this float32 value: graphs hold 9.99999996e-13 where their authors wrote 1e-12."""
    rounded = to_float32(value)
    texts = (f"{rounded:.{digits}g}" for digits in range(1, FLOAT32_DIGITS + 1))
    return next((float(text) for text in texts if to_float32(float(text)) == rounded), rounded)
