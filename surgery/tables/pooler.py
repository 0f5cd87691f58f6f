"""What follows a dense layer of which only the bias is known: its activation, and the normalisation of its output.

So the pooled output is found in any graph, whatever its name there.
"""

from __future__ import annotations

from dataclasses import dataclass

from surgery.graphs.dataflow import between, constant
from surgery.graphs.fingerprints import see_through
from surgery.graphs.flat import Node, Tensor
from surgery.graphs.op_types import is_set
from surgery.tables.anchors import LAST_OF_TWO, Anchors

ACTIVATIONS = frozenset({"Tanh", "Relu", "Sigmoid"})
"""Activations that are one operation."""


@dataclass(frozen=True, kw_only=True)
class L2Normalized:
    """A tensor whose rows have been divided by their length.

    Attributes:
        output: The tensor.
        epsilon: The least sum of squares by whose root a row is divided.
        place: Name of the node that has it.
    """

    output: Tensor
    epsilon: float
    place: str


def activated(graph: Anchors, bias: str) -> Tensor | None:
    """The output of the dense layer with this bias: what its activation gives, or its bias add if none follows.

    An activation is one operation, or GELU: a product of the bias add and a function of it by tanh or erf.
    """
    dense = graph.bias_add(bias)
    if dense is None:
        return None
    users = [user for user, _ in graph.consumers(dense)]
    halves = [user for node in users if node.op == "Mul" for user, _ in graph.consumers(node)]
    found = [node for node in users if node.op in ACTIVATIONS]
    found += [node for node in (*users, *halves) if node.op == "Mul" and _is_gelu(node, dense)]
    return Tensor((*found, dense)[0], "0")


def l2_normalized(graph: Anchors, tensor: Tensor) -> L2Normalized | None:
    """What divides the rows of a tensor [batch, width] by their length, as `tf.math.l2_normalize` does it.

    That is `x · rsqrt(max(Σx², epsilon))`. None where no operation on the tensor does exactly this.
    """
    for scaled, position in graph.consumers(tensor.node):
        scale = see_through(scaled.inputs[1 - position]).node if scaled.op == "Mul" else None
        floor = see_through(scale.inputs[0]).node if scale is not None and scale.op == "Rsqrt" else None
        if floor is None or floor.op != "Maximum":
            continue
        for total, least in (floor.inputs, floor.inputs[::-1]):
            epsilon = constant(least)
            if epsilon is not None and _is_sum_of_squares(see_through(total).node, tensor.node):
                return L2Normalized(output=Tensor(scaled, "0"), epsilon=epsilon, place=floor.path)
    return None


def _is_sum_of_squares(total: Node, squared: Node) -> bool:
    """True for the sums [batch, 1] of the squares of each row of a tensor [batch, width]."""
    if total.op != "Sum" or not is_set(total, "keep_dims") or constant(total.inputs[1]) not in LAST_OF_TWO:
        return False
    squares = see_through(total.inputs[0]).node
    factors = {see_through(feed).node for feed in squares.inputs}
    return squares.op in ("Square", "Mul") and factors == {squared}


def _is_gelu(product: Node, x: Node) -> bool:
    """True for the product of `x`, or of a multiple of it, and a function of `x` by tanh or erf."""
    factors = [see_through(feed) for feed in product.inputs]
    for left, right in (factors, factors[::-1]):
        multiple = left.node is x or (
            left.node.op == "Mul"
            and any(see_through(feed).node is x for feed in left.node.inputs)
            and any(constant(feed) is not None for feed in left.node.inputs)
        )
        way = between(right, x) if multiple else None
        if way is not None and any(node.op in ("Tanh", "Erf", "Erfc") for node in way):
            return True
    return False
