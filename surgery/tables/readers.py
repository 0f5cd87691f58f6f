"""Readers of the hyperparameters that names and shapes do not show; a family's table says which to use.

Each reader gets a graph anchored at its weights, and the targets that anchor one spot. It returns the value that stands
there with the name of the node, or None when the graph has no such spot.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from surgery.graphs.dataflow import between, constant, shortest_decimal, through_shapes
from surgery.graphs.flat import Node, Tensor
from surgery.tables.anchors import Anchors
from surgery.tables.pooler import activated, l2_normalized


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A value and the place where it was read.

    Attributes:
        value: The value of the field, or "unknown (…)" with a description of an unknown form.
        place: Name of the node where it stands.
    """

    value: Any
    place: str

    @property
    def known(self) -> bool:
        """False where something stands at the place, but in a form that no reader knows."""
        return not str(self.value).startswith("unknown")


Reader = Callable[..., "Reading | None"]


def applications(graph: Anchors, kernel: str) -> Reading | None:
    """How many times a shared kernel is applied: the number of blocks."""
    found = graph.products(kernel)
    return Reading(value=len(found), place=f"{len(found)} products such as {found[0][0].path}") if found else None


def layer_norm_epsilon(graph: Anchors, gamma: str) -> Reading | None:
    """The constant added to the variance, or the attribute of a fused norm."""
    scale = graph.norm_scale(gamma)
    if scale is None:
        return None
    if scale.op.startswith("FusedBatchNorm"):
        return Reading(value=shortest_decimal(scale.attr["epsilon"].f), place=scale.path)
    total = through_shapes(scale.inputs[0])
    for addend in total.node.inputs:
        value = constant(addend)
        if value is not None:
            return Reading(value=shortest_decimal(float(value)), place=addend.node.path)
    return None


def activation(graph: Anchors, bias: str, kernel: str) -> Reading | None:
    """The activation between the bias add of one dense layer and the product with the next kernel."""
    start, end = graph.bias_add(bias), graph.product_input(kernel)
    return None if start is None or end is None else _activation(between(end, start), start.path)


def gated_activation(graph: Anchors, bias: str, gate_bias: str, kernel: str) -> Reading | None:
    """The activation of a gated linear unit, `act(xW) * xV` (Shazeer, arXiv:2002.05202), before the next kernel."""
    start, gate, end = graph.bias_add(bias), graph.bias_add(gate_bias), graph.product_input(kernel)
    if start is None or gate is None or end is None or end.node.op != "Mul":
        return None
    sides = [through_shapes(feed) for feed in end.node.inputs]
    activated = [side for side in sides if side.node is not gate]
    return _activation(between(activated[0], start), start.path) if len(activated) == 1 else None


def dropout_on_product(graph: Anchors, kernel: str) -> Reading | None:
    """The rate of the dropout on the product with this kernel."""
    found = graph.products(kernel)
    return _dropout_on(graph, found[0][0]) if found else None


def activation_before_norm(graph: Anchors, bias: str, gamma: str) -> Reading | None:
    """The activation between a dense layer's bias add and the norm with this gamma."""
    start, end = graph.bias_add(bias), graph.norm_input(gamma)
    return None if start is None or end is None else _activation(between(end, start), start.path)


def activation_after(graph: Anchors, bias: str) -> Reading | None:
    """The activation of a dense layer, which nothing but its bias shows where it begins."""
    start, end = graph.bias_add(bias), activated(graph, bias)
    if start is None or end is None:
        return None
    if end.node is start:
        return Reading(value="linear", place=f"nothing after {start.path}")
    names = {"Tanh": "tanh", "Relu": "relu", "Sigmoid": "sigmoid"}
    if end.node.op in names:
        return Reading(value=names[end.node.op], place=end.node.path)
    return _activation(between(end, start), start.path)


def pooled_l2_norm_epsilon(graph: Anchors, bias: str) -> Reading | None:
    """The epsilon of the L2 normalisation of the pooler's output; None where nothing normalises it."""
    pooled = activated(graph, bias)
    found = None if pooled is None else l2_normalized(graph, pooled)
    return None if found is None else Reading(value=shortest_decimal(found.epsilon), place=found.place)


def _activation(nodes: tuple[Any, ...] | None, place: str) -> Reading | None:
    """Names an activation by its operations (Hendrycks and Gimpel, arXiv:1606.08415, for the two GELUs)."""
    if nodes is None:
        return None
    by_op = {node.op: node for node in reversed(nodes)}
    constants = {round(float(value), 6) for node in nodes if (value := constant_of(node)) is not None}
    if "Erf" in by_op or "Erfc" in by_op:
        return Reading(value="gelu", place=by_op.get("Erf", by_op.get("Erfc")).path)  # type: ignore[union-attr]
    if "Tanh" in by_op and 0.044715 in constants:
        return Reading(value="gelu_tanh", place=by_op["Tanh"].path)
    if "Relu" in by_op and len(by_op) == 1:
        return Reading(value="relu", place=by_op["Relu"].path)
    operations = ", ".join(sorted(op for op in by_op if op != "Const"))
    return Reading(value=f"unknown ({operations or 'none'})", place=place)


def constant_of(node: Node) -> float | None:
    """The value of a scalar constant node."""
    value = constant(Tensor(node, "0")) if node.op == "Const" else None
    return float(value) if value is not None and not node.attr["value"].tensor.tensor_shape.dim else None


def head_size(graph: Anchors, query_bias: str) -> Reading | None:
    """d from the attention scale 1/√d (Vaswani et al., arXiv:1706.03762, section 3.2.1)."""
    _, scalings = graph.softmax_after(query_bias)
    factor = math.prod(value for _, value in scalings)
    if not scalings or factor <= 0:
        return None
    size = round(1.0 / factor**2)
    if size < 1 or abs(size * factor**2 - 1.0) > 1e-3:
        return Reading(value=f"unknown (a scale of {factor:g} is 1/sqrt of no whole number)", place=scalings[0][0].path)
    return Reading(value=size, place=scalings[0][0].path)


def epsilon_if_any(graph: Anchors, gamma: str) -> Reading | None:
    """Epsilon of a norm, or None for MobileBERT's `no_norm`, an elementwise affine map without a variance."""
    found = layer_norm_epsilon(graph, gamma)
    kind = norm_kind(graph, gamma)
    return (
        found if found is not None or kind is None or kind.value != "no_norm" else Reading(value=None, place=kind.place)
    )


def norm_kind(graph: Anchors, gamma: str) -> Reading | None:
    """`layer_norm` where a variance is normalised, `no_norm` where gamma only scales."""
    scale = graph.norm_scale(gamma)
    if scale is not None:
        return Reading(value="layer_norm", place=scale.path)
    scaled = [node for node, _ in graph.uses(gamma) if node.op == "Mul"]
    return Reading(value="no_norm", place=f"no Rsqrt before {scaled[0].path}") if scaled else None


def fed_by_norm(graph: Anchors, kernel: str, beta: str) -> Reading | None:
    """True when the tensor that is multiplied with a kernel is the output of the norm with this beta."""
    feed, norm = graph.product_input(kernel), graph.norm_output(beta)
    if feed is None or norm is None:
        return None
    return Reading(value=feed.node is norm, place=f"what is multiplied is {feed.node.path}")


def tanh_follows(graph: Anchors, bias: str) -> Reading | None:
    """True when a dense layer's activation is tanh, the only one that the rebuilt pooler can have."""
    found = activation_after(graph, bias)
    if found is None or found.value == "tanh":
        return None if found is None else Reading(value=True, place=found.place)
    return Reading(value=f"unknown ({found.value} instead of tanh)", place=found.place)


def mask_adder(graph: Anchors, query_bias: str) -> Reading | None:
    """The number that is added to the logits of padding: -10000 in early graphs, -1e9 in later ones."""
    found = graph.mask_added(query_bias)
    return None if found is None else Reading(value=found.adder, place=found.mask.path)


def norm_first(graph: Anchors, query_kernel: str, attention_beta: str) -> Reading | None:
    """True when a block's attention norm feeds its own queries (pre-norm), False when it follows the attention."""
    feed, norm = graph.product_input(query_kernel), graph.norm_output(attention_beta)
    if feed is None or norm is None:
        return None
    return Reading(value=feed.node is norm, place=f"what feeds the queries is {feed.node.path}")


def dropout_after_norm(graph: Anchors, beta: str) -> Reading | None:
    """The rate of the dropout on a norm's output."""
    return _dropout_on(graph, graph.norm_output(beta))


def dropout_after_bias(graph: Anchors, bias: str) -> Reading | None:
    """The rate of the dropout on a dense layer's output."""
    return _dropout_on(graph, graph.bias_add(bias))


def dropout_on_probabilities(graph: Anchors, query_bias: str) -> Reading | None:
    """The rate of the dropout on the attention probabilities."""
    return _dropout_on(graph, graph.softmax_after(query_bias)[0])


def dropout_before(graph: Anchors, kernel: str) -> Reading | None:
    """The rate of the dropout whose result is multiplied with this kernel."""
    feed = graph.product_input(kernel)
    if feed is None:
        return None
    for dropout in graph.dropouts:
        if dropout.result is feed.node:
            return Reading(value=dropout.rate, place=dropout.result.path)
    return Reading(value=0.0, place=f"no random operation on {feed.node.path}")


def _dropout_on(graph: Anchors, node: Any) -> Reading | None:
    if node is None:
        return None
    for dropout in graph.dropouts:
        if through_shapes(dropout.data).node is node:
            return Reading(value=dropout.rate, place=dropout.result.path)
    return Reading(value=0.0, place=f"no random operation on {node.path}")
