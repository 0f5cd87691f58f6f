"""Dropouts of a flat graph: random masks that select or scale a tensor, found by their form."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from surgery.graphs.dataflow import SUMS, constant, shortest_decimal, upstream
from surgery.graphs.fingerprints import see_through
from surgery.graphs.flat import FlatGraph, Node, Tensor

RANDOM_PREFIXES = ("RandomUniform", "StatelessRandomUniform", "RandomStandardNormal", "StatelessRandomNormal")
"""How the names of operations that draw random numbers begin."""


@dataclass(frozen=True, kw_only=True)
class Dropout:
    """A dropout of a graph.

    Attributes:
        rate: The share of elements that it sets to zero, from 0 below 1.
        data: The tensor that it acts on.
        result: The node that gives its result.
        random: Its random operation.
    """

    rate: float
    data: Tensor
    result: Node
    random: Node


def find_dropouts(graph: FlatGraph) -> tuple[Dropout, ...]:
    """Every dropout of a graph, in the order of its nodes.

    tf.nn.dropout writes `random >= rate` since TF 1.14, and wrote `floor(keep_prob + random)` before.
    """
    found = []
    for node in graph.nodes:
        mask = _random_mask(node)
        result, data = _kept(graph, node) if mask is not None else (None, None)
        if mask is not None and result is not None and data is not None:
            found.append(Dropout(rate=mask[0], data=data, result=result, random=mask[1]))
    return tuple(found)


def other_randomness(graph: FlatGraph, dropouts: Iterable[Dropout]) -> tuple[Node, ...]:
    """Random operations of a graph that belong to none of its dropouts."""
    read = {dropout.random for dropout in dropouts}
    return tuple(node for node in graph.nodes if node.op.startswith(RANDOM_PREFIXES) and node not in read)


def _kept(graph: FlatGraph, keep: Node) -> tuple[Node | None, Tensor | None]:
    """The node that applies a keep mask, and the tensor before its scaling by 1/(1 - rate)."""
    for user, position in graph.consumers.get(keep, ()):
        if user.op == "Cast":
            return _kept(graph, user)
        if user.op in ("SelectV2", "Select"):
            return user, _unscaled(user.inputs[1])
        if user.op == "Mul":
            return user, _unscaled(user.inputs[1 - position])
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


def _unscaled(tensor: Tensor) -> Tensor:
    tensor = see_through(tensor)
    if tensor.node.op in ("Mul", "RealDiv"):
        for position in (0, 1):
            if constant(tensor.node.inputs[position]) is not None:
                return see_through(tensor.node.inputs[1 - position])
    return tensor
