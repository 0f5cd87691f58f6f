"""What a module's pooled output is: the output of its pooler, or that with each row divided by its length.

Outputs are known by name, and names do not show what stands behind the pooler. Model Garden's LaBSE, for one, returns
the pooled output normalised under the old name (official/nlp/modeling/models/dual_encoder.py). A module whose pooled
output is anything else is refused: an encoder made of it would return something else under this name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from surgery.errors import UnexplainedError
from surgery.explanation.convention import Convention
from surgery.explanation.ends import IN_PLACE
from surgery.graphs.dataflow import between
from surgery.graphs.fingerprints import see_through
from surgery.graphs.flat import Node, Tensor
from surgery.module import InspectedModule
from surgery.tables.anchors import Anchors
from surgery.tables.family import POOLED, POOLED_L2_NORM_EPS, POOLER, Family


def check_pooled(
    module: InspectedModule, family: Family, values: Mapping[str, Any], convention: Convention, graph: Anchors | None
) -> None:
    """Raises UnexplainedError where a call's pooled output is not what the hyperparameters `values` say it is.

    `graph` is the call's inference trace, which `read_convention` has found.
    """
    trace = module.trace(convention.callable, training=False)
    for row in (row for row in family.evidence if row.field == POOLED_L2_NORM_EPS):
        pooler = None if graph is None else graph.activated(*row.anchors)
        if graph is None or pooler is None or trace is None:
            continue
        normalized = graph.l2_normalized(pooler) if POOLED_L2_NORM_EPS in values else None
        expected = {POOLER: pooler.node, POOLED: pooler.node if normalized is None else normalized.output.node}
        paths = {path: tensor for (path, _), tensor in zip(trace.flat_outputs, graph.graph.outputs, strict=True)}
        for name, node in expected.items():
            if name in convention.outputs and _behind(tensor := paths[convention.outputs[name]]) is not node:
                raise UnexplainedError(
                    f"reading the outputs of {module.name}'s {convention.callable}: {name} is not the output of the "
                    f"pooler{' divided by its length' if name == POOLED and normalized else ''}, {_made(tensor, node)}",
                    hint="surgery knows the pooler's own output, and that normalised by tf.math.l2_normalize; "
                    "`surgery graph` and `surgery tap` work with any other",
                )


def _behind(tensor: Tensor) -> Node:
    """The node of a tensor, seen through operations that keep its elements in their order."""
    tensor = see_through(tensor)
    while tensor.node.op in IN_PLACE:
        tensor = see_through(tensor.node.inputs[0])
    return tensor.node


def _made(tensor: Tensor, start: Node) -> str:
    """What makes an output of the node that was expected to be it, in words."""
    way = between(tensor, start)
    if way is None:
        return f"but is computed by {see_through(tensor).node.path} without it"
    operations = sorted({node.op for node in way} - {"Const", "Identity"})
    return f"but computed from it by {', '.join(operations)} ({see_through(tensor).node.path})"
