"""Tensors between the blocks of a module's own graph, also where its call returns its ends only."""

from __future__ import annotations

from collections.abc import Sequence

from surgery.explanation.architecture import Inference
from surgery.graphs.flat import Tensor
from surgery.module import Trace
from surgery.planning.taps import Tapped
from surgery.tables.anchors import Anchors
from surgery.tables.rules import fill


def tap_tensors(trace: Trace, inference: Inference, taps: Sequence[Tapped]) -> dict[str, Tensor]:
    """The tensors of taps by output name, as the module's own graph has them; those that it does not show are left out.

    They may be flat: [batch * seq, …], or with heads joined.
    """
    paths = {target: claim.variable.address for claim in inference.claims for target in claim.targets}
    whole = Anchors(trace.open_graph(), paths)
    found = {}
    for tap in taps:
        graph = whole.at(tap.layer) if inference.family.repeated else whole
        tensor = tap.row.finder(graph, *tap.anchors)
        if tensor is not None:
            found[tap.output] = tensor
    return found


def inner_tensors(trace: Trace, inference: Inference) -> dict[str, Tensor]:
    """`embedding_output` and `encoder_outputs_{i}` of every block, float32 [batch, seq, hidden].

    A block's input is what its queries are made of; in a pre-norm block, what its first norm normalises. The last
    block's output feeds no other block: the call returns it. Tensors that cannot be found are left out.
    """
    paths = {target: claim.variable.address for claim in inference.claims for target in claim.targets}
    whole = Anchors(trace.open_graph(), paths)
    place = inference.family.block_input
    before = inference.family.lists["encoder_outputs"]
    found = {}
    for block in range(inference.architecture["num_hidden_layers"]):
        layer = {"layer": str(block)}
        graph = whole.at(block) if inference.family.repeated else whole
        feed = graph.product_input(fill(place.kernel, layer))
        pre_norm = graph.norm_output(fill(place.norm_beta, layer)) if place.norm_beta is not None else None
        if feed is not None and pre_norm is not None and feed.node is pre_norm and place.norm_gamma is not None:
            feed = graph.norm_input(fill(place.norm_gamma, layer))
        if feed is not None:
            found["embedding_output" if block == 0 else f"encoder_outputs_{block - 1 + before}"] = feed
    flat = {path: tensor for (path, _), tensor in zip(trace.flat_outputs, whole.graph.outputs, strict=True)}
    if "sequence_output" in inference.convention.outputs:
        last = inference.architecture["num_hidden_layers"] - 1
        found[f"encoder_outputs_{last + before}"] = flat[inference.convention.outputs["sequence_output"]]
    return found
