"""Merged graphs with inputs in place of tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from surgery.graphs.merging import Input, Merged
from surgery.graphs.names import unused


def fed_with(merged: Merged, fed: Mapping[str, Input]) -> Merged:
    """The graph with inputs in place of tensors, by the tensor's name, wherever these are read.

    Where such a tensor is wanted itself, it is still computed.
    """
    graph_def = type(merged.graph_def)()
    graph_def.CopyFrom(merged.graph_def)
    taken = {*merged.inputs, *merged.variables, *(node.name for node in merged.graph_def.node)}
    names = {tensor: unused(f"fed_{number}", taken) for number, tensor in enumerate(fed)}
    for node in graph_def.node:
        node.input[:] = [f"{names[feed]}:0" if feed in names else feed for feed in node.input]
    return replace(merged, graph_def=graph_def, inputs={**merged.inputs, **{names[t]: fed[t] for t in fed}})
