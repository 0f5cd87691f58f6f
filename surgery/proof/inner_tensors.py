"""Tensors inside a module's own graph: taps, and the tensors between its blocks, which its call may not return."""

from __future__ import annotations

from collections.abc import Sequence

from surgery.explanation.architecture import Inference
from surgery.explanation.outputs import EMBEDDING
from surgery.graphs.flat import Tensor
from surgery.module import Trace
from surgery.planning.taps import TapAtBlock
from surgery.tables.anchors import Anchors
from surgery.tables.family import POOLED_L2_NORM_EPS, POOLER
from surgery.tables.pooler import activated
from surgery.tables.rules import fill


def tap_tensors(trace: Trace, inference: Inference, taps: Sequence[TapAtBlock]) -> dict[str, Tensor]:
    """The tensors of taps in the module's own graph, by output name. Taps that are not found there are left out.

    A tensor may be flat, [batch * seq, …], or have its heads joined.
    """
    paths = {target: claim.variable.address for claim in inference.claims for target in claim.targets}
    whole = Anchors(trace.open_graph(), paths)
    found = {}
    for tap in taps:
        graph = whole.at(tap.block) if inference.family.repeated else whole
        tensor = tap.row.finder(graph, *tap.anchors)
        if tensor is not None:
            found[tap.output] = tensor
    return found


def inner_tensors(trace: Trace, inference: Inference) -> dict[str, Tensor]:
    """`embedding_output` and the output of every block by its export name, float32 [batch, seq, hidden].

    Where the pooled output is normalised, the pooler's own output [batch, hidden] is there as well.

    A block's input is the tensor that its query projection multiplies; in a pre-norm block, the tensor that its first
    norm normalises. The last block's output feeds no other block: it is the call's `sequence_output`. Tensors that
    cannot be found are left out.
    """
    paths = {target: claim.variable.address for claim in inference.claims for target in claim.targets}
    whole = Anchors(trace.open_graph(), paths)
    place = inference.family.block_input
    outputs = inference.outputs
    found = {}
    for block in range(outputs.blocks):
        layer = {"layer": str(block)}
        graph = whole.at(block) if inference.family.repeated else whole
        feed = graph.product_input(fill(place.kernel, layer))
        pre_norm = graph.norm_output(fill(place.norm_beta, layer)) if place.norm_beta is not None else None
        if feed is not None and pre_norm is not None and feed.node is pre_norm and place.norm_gamma is not None:
            feed = graph.norm_input(fill(place.norm_gamma, layer))
        if feed is not None:
            found[EMBEDDING if block == 0 else outputs.block_output(block - 1)] = feed
    flat = {path: tensor for (path, _), tensor in zip(trace.flat_outputs, whole.graph.outputs, strict=True)}
    for row in (
        row for row in inference.family.evidence if row.field == POOLED_L2_NORM_EPS and POOLER in outputs.names
    ):
        if (pooler := activated(whole, *row.anchors)) is not None:
            found[POOLER] = pooler
    if "sequence_output" in inference.convention.outputs:
        found[outputs.block_output(outputs.blocks - 1)] = flat[inference.convention.outputs["sequence_output"]]
    return found
