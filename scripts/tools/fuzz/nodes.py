"""Nodes of a meta graph, in its own graph and in its functions."""

from __future__ import annotations

from random import Random
from typing import Any


def bodies(meta_graph: Any) -> list[Any]:
    """The lists of nodes of a meta graph: its own, and one per function."""
    found = [meta_graph.graph_def.node, *(function.node_def for function in meta_graph.graph_def.library.function)]
    return [nodes for nodes in found if len(nodes)]


def choose(rng: Random, meta_graph: Any) -> tuple[Any, Any]:
    """A node, and the list that it stands in. Large bodies, which compute something, come more often."""
    found = bodies(meta_graph)
    if not found:
        return meta_graph.graph_def.node.add(name="made"), meta_graph.graph_def.node
    (nodes,) = rng.choices(found, weights=[len(nodes) for nodes in found])
    return rng.choice(nodes), nodes
