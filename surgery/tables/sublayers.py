"""Finders of a block's inner tensors in a module's own graph, from the weights around them.

Each function gets a graph anchored at its weights, and the targets that anchor one spot. It returns None when the graph
has no such spot. The tensor that it returns may be flat, [batch * seq, …], or have its heads joined, as in TF1 graphs
and the first TF2 graphs; it is never transposed.
"""

from __future__ import annotations

from surgery.graphs.flat import Tensor
from surgery.tables.anchors import Anchors

RESHAPES = frozenset({"Reshape", "Identity", "Squeeze", "ExpandDims"})
"""Operations that keep the order of a tensor's elements."""


def after_bias(graph: Anchors, bias: str) -> Tensor | None:
    """A dense layer's output, before any activation."""
    return _output(graph.bias_add(bias))


def before_kernel(graph: Anchors, kernel: str) -> Tensor | None:
    """The tensor that is multiplied with a kernel."""
    found = graph.nth_product(kernel)
    if found is None:
        return None
    feed = found[0].inputs[1 - found[1]]
    while feed.node.op in RESHAPES:
        feed = feed.node.inputs[0]
    return feed


def after_kernel(graph: Anchors, kernel: str) -> Tensor | None:
    """The product with a kernel that has no bias."""
    found = graph.nth_product(kernel)
    return None if found is None else _output(found[0])


def gated(graph: Anchors, gate_bias: str) -> Tensor | None:
    """The factor beside the gate in `act(xW) * (xV + b)`."""
    gate = graph.bias_add(gate_bias)
    for user, position in graph.graph.consumers.get(gate, ()) if gate is not None else ():
        if user.op == "Mul":
            return user.inputs[1 - position]
    return None


def after_norm(graph: Anchors, beta: str) -> Tensor | None:
    """A norm's output."""
    return _output(graph.norm_output(beta))


def before_norm(graph: Anchors, gamma: str) -> Tensor | None:
    """The tensor that a norm normalises."""
    return graph.norm_input(gamma)


def probabilities(graph: Anchors, query_bias: str) -> Tensor | None:
    """The softmax over a query's logits."""
    return _output(graph.softmax_after(query_bias)[0])


def logits(graph: Anchors, query_bias: str) -> Tensor | None:
    """The softmax's input before the mask is added to it."""
    found = graph.mask_added(query_bias)
    return None if found is None else found.logits


def _output(node: object) -> Tensor | None:
    return None if node is None else Tensor(node, "0")  # type: ignore[arg-type]
