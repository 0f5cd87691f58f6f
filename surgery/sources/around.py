"""The variables of a Keras model around an encoder that lies in one of its layers, each with the reason why it is none
of the encoder's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from surgery.formats import object_graph
from surgery.module import VariableInfo
from surgery.sources.files import Files
from surgery.sources.tf2 import KERAS_CHILDREN

REASONS = {
    "optimizer": "a slot or counter of the optimiser",
    "keras_api": "a counter of a metric",
    "variables": "a variable of the model around the encoder",
    "_all_variables": "a copy of a variable, as Keras 3 saves it",
}
"""Reasons for variables that a Keras model has beside its layers' own, by the child of the root that holds them."""


def with_outside(variables: tuple[VariableInfo, ...], files: Files, encoder: int) -> tuple[VariableInfo, ...]:
    """The variables of a SavedModel, those outside of the encoder with the reason.

    Args:
        variables: The variables.
        files: The SavedModel, which has an object graph.
        encoder: The node of the encoder in the object graph.
    """
    assert files.with_objects is not None, "the encoder is an object of its object graph"
    graph, where = files.with_objects.object_graph_def, files.object_paths
    inside = {where[node] for node in object_graph.below(graph, encoder)}
    owners = _owners(graph, where)
    return tuple(v if v.path in inside else replace(v, attribute=None, outside=_reason(v, owners)) for v in variables)


def _owners(graph: Any, where: dict[int, str]) -> dict[str, str]:
    """The child of the root that holds each variable, by the variable's path.

    If a layer and another child hold a variable, the layer is its owner.
    """
    owners: dict[str, str] = {}
    children = object_graph.children(graph, object_graph.ROOT)
    others = {*REASONS, *KERAS_CHILDREN}
    for name in sorted(children, key=lambda name: (name in others, [*REASONS, name].index(name))):
        for node in object_graph.below(graph, children[name]):
            if graph.nodes[node].WhichOneof("kind") == "variable":
                owners.setdefault(where[node], name)
    return owners


def _reason(variable: VariableInfo, owners: dict[str, str]) -> str:
    owner = owners.get(variable.path or "", "")
    return f"{REASONS.get(owner, f'a weight of the model around the encoder ({owner})')}, not of the encoder"
