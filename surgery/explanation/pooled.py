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
from surgery.graphs.fingerprints import Fingerprints, see_through
from surgery.graphs.flat import FlatGraph, Tensor
from surgery.module import InspectedModule
from surgery.tables.anchors import Anchors
from surgery.tables.family import POOLED, POOLED_L2_NORM_EPS, POOLER, Family
from surgery.tables.pooler import activated, l2_normalized


def check_pooled(
    module: InspectedModule, family: Family, values: Mapping[str, Any], convention: Convention, graph: Anchors | None
) -> None:
    """Raises UnexplainedError where a call's pooled output is not what the hyperparameters `values` say it is.

    `graph` is the call's inference trace, which `read_convention` has found.
    """
    trace = module.trace(convention.callable, training=False)
    for row in (row for row in family.evidence if row.field == POOLED_L2_NORM_EPS):
        pooler = None if graph is None else activated(graph, *row.anchors)
        if graph is None or pooler is None or trace is None:
            continue
        normalized = l2_normalized(graph, pooler) if POOLED_L2_NORM_EPS in values else None
        expected = {POOLER: pooler, POOLED: pooler if normalized is None else normalized.output}
        paths = {path: tensor for (path, _), tensor in zip(trace.flat_outputs, graph.graph.outputs, strict=True)}
        for name, wanted in expected.items():
            found = paths[convention.outputs[name]] if name in convention.outputs else None
            if found is not None and not _same(graph.graph, found, wanted):
                what = "the pooler's output" if wanted is pooler else "the pooler's output divided by its length"
                raise UnexplainedError(
                    f"reading the outputs of {module.name}'s {convention.callable}: {name} is not {what}, "
                    + _made(found, wanted),
                    hint="surgery knows the pooler's own output, and that normalised by tf.math.l2_normalize; "
                    "`surgery graph` and `surgery tap` work with any other",
                )


def _same(graph: FlatGraph, found: Tensor, wanted: Tensor) -> bool:
    """Whether two tensors have the same elements: they are one tensor, or are computed in the same way."""
    found = _behind(found)
    if found.node is wanted.node:
        return True
    prints = Fingerprints(graph, {})
    return prints.of(found) == prints.of(wanted._replace(port=found.port))


def _behind(tensor: Tensor) -> Tensor:
    """The tensor behind operations that keep its elements in their order."""
    tensor = see_through(tensor)
    while tensor.node.op in IN_PLACE:
        tensor = see_through(tensor.node.inputs[0])
    return tensor


def _made(found: Tensor, wanted: Tensor) -> str:
    """What makes an output of the tensor that was expected to be it, in words."""
    way, place = between(found, wanted.node), see_through(found).node.path
    if way is None:
        return f"but is computed by {place} without it"
    operations = sorted({node.op for node in way} - {"Const", "Identity"})
    return f"but computed from it by {', '.join(operations)} ({place})"
