"""Dropouts of a flat graph: random masks that select or scale a tensor, found by their form."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from surgery.graphs.dataflow import SUMS, constant, shortest_decimal, upstream
from surgery.graphs.fingerprints import see_through
from surgery.graphs.flat import FlatGraph, Node, Tensor

RANDOM_PREFIXES = ("RandomUniform", "StatelessRandomUniform", "RandomStandardNormal", "StatelessRandomNormal")
"""How the names of operations that draw random numbers begin."""
ROUNDINGS = 4
"""How often a scale may have been rounded to float32: the rate, the share that is kept, its inverse, and once more."""


@dataclass(frozen=True, kw_only=True)
class Dropout:
    """A dropout of a graph.

    Attributes:
        rate: The share of elements that it sets to zero, from 0 below 1.
        scale: The number by which it multiplies the elements that it keeps; 1 where no constant scales them.
        data: The tensor that it acts on.
        result: The node that gives its result.
        random: Its random operation.
    """

    rate: float
    scale: float
    data: Tensor
    result: Node
    random: Node

    @property
    def keeps_the_mean(self) -> bool:
        """Whether the scale is 1/(1 - rate), as far as graphs can hold rate and scale in float32."""
        kept = 1.0 - self.rate
        return abs(self.scale * kept - 1.0) <= ROUNDINGS * 2.0**-24 / kept


def find_dropouts(graph: FlatGraph) -> tuple[Dropout, ...]:
    """Every dropout of a graph, in the order of its nodes.

    tf.nn.dropout writes `random >= rate` since TF 1.14, and wrote `floor(keep_prob + random)` before.
    """
    found = []
    for node in graph.nodes:
        mask = _random_mask(node)
        result, scaled = _kept(graph, node) if mask is not None else (None, None)
        if mask is not None and result is not None and scaled is not None:
            data, scale = _unscaled(scaled)
            found.append(Dropout(rate=mask[0], scale=scale, data=data, result=result, random=mask[1]))
    return tuple(found)


def other_randomness(graph: FlatGraph, dropouts: Iterable[Dropout]) -> tuple[Node, ...]:
    """Random operations of a graph that belong to none of its dropouts."""
    read = {dropout.random for dropout in dropouts}
    return tuple(node for node in graph.nodes if node.op.startswith(RANDOM_PREFIXES) and node not in read)


def _kept(graph: FlatGraph, keep: Node) -> tuple[Node | None, Tensor | None]:
    """The node that applies a keep mask, and the scaled tensor that it applies it to."""
    for user, position in graph.consumers.get(keep, ()):
        if user.op == "Cast":
            return _kept(graph, user)
        if user.op in ("SelectV2", "Select"):
            return user, user.inputs[1]
        if user.op == "Mul":
            return user, user.inputs[1 - position]
    return None, None


def _random_mask(node: Node) -> tuple[float, Node] | None:
    """The rate and the random operation of the dropout whose mask this node computes; None for any other node."""
    if node.op == "GreaterEqual" and (random := _random_source(node.inputs[0])) is not None:
        rate = constant(node.inputs[1])
        return None if rate is None else (shortest_decimal(float(rate)), random)
    if node.op == "Floor" and (total := see_through(node.inputs[0]).node).op in SUMS:
        for position in (0, 1):
            keep, random = constant(total.inputs[position]), _random_source(total.inputs[1 - position])
            if keep is not None and random is not None:
                return round(1.0 - shortest_decimal(float(keep)), 7), random
    return None


def _random_source(tensor: Tensor) -> Node | None:
    return next((node for node in upstream(tensor) if node.op.startswith(RANDOM_PREFIXES)), None)


def _unscaled(tensor: Tensor) -> tuple[Tensor, float]:
    """The tensor before its scaling, and the scale: `x * scale` since TF 1.14, `x / keep_prob` before."""
    tensor = see_through(tensor)
    node = tensor.node
    if node.op == "RealDiv" and (divisor := constant(node.inputs[1])) is not None:
        return see_through(node.inputs[0]), 1.0 / float(divisor)
    for position in (0, 1) if node.op == "Mul" else ():
        factor = constant(node.inputs[position])
        if factor is not None:
            return see_through(node.inputs[1 - position]), float(factor)
    return tensor, 1.0
