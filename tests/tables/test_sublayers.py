"""Sublayers in a module's own graph, found from the weights beside them: whatever exporter wrote the graph."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from surgery.explanation.inferring import infer_architecture
from surgery.graphs.dataflow import upstream
from surgery.planning.taps import offered, resolve_taps
from surgery.proof.inner_tensors import tap_tensors
from tests.support.editing import inspected
from tests.support.sample_names import GRAPH_SAMPLES


@pytest.fixture(scope="module")
def located(modules):
    """The call's trace, the inference, and where every tap of every block lies in the call's graph, by output name."""

    @cache
    def find(name: str):
        module = inspected(modules(name))
        inference = infer_architecture(module)
        trace = module.trace("__call__", training=False)
        return trace, inference, tap_tensors(trace, inference, resolve_taps(inference, offered(inference)))

    return find


@pytest.mark.parametrize("name", GRAPH_SAMPLES)
def test_every_tap_of_every_block_is_found_each_at_a_place_of_its_own(name: str, located):
    _, inference, found = located(name)
    blocks = inference.architecture["num_hidden_layers"]
    assert sorted(found) == sorted(f"{tap}_{block}" for tap in offered(inference) for block in range(blocks))
    # MobileBERT's `intermediate` and `ffn_output` are those of the last of its stacked feed-forwards.
    twice = 2 * blocks if inference.family.name == "mobilebert" else 0
    assert len({(tensor.node, tensor.port) for tensor in found.values()}) == len(found) - twice


def reads(located, name: str, output: str) -> set[str]:
    """The encoder inputs from which a tapped tensor is computed."""
    trace, inference, found = located(name)
    names = [node.path for node in trace.open_graph().inputs]
    place = {node: path for node, (path, _) in zip(names, trace.flat_inputs, strict=True)}
    used = {place[node.path] for node in upstream(found[output]) if node.path in place}
    return {role for role, path in inference.convention.inputs.items() if path in used}


@pytest.mark.parametrize("name", GRAPH_SAMPLES)
def test_logits_are_those_before_the_mask_and_probabilities_those_after(name: str, located):
    # In the first block, where nothing yet is made of masked attention.
    ids = located(name)[1].convention.inputs.keys() - {"input_mask"}
    assert "input_word_ids" in ids
    assert reads(located, name, "attention_logits_0") == ids
    assert reads(located, name, "attention_probs_0") == ids | {"input_mask"}


def test_what_a_graph_does_not_show_is_left_out(located):
    trace, inference, _ = located("g4_bert_mlm")
    query, key = resolve_taps(inference, ["query@1", "key@1"])
    hidden = replace(query, offer=replace(query.offer, row=replace(query.row, finder=lambda graph, *anchors: None)))
    assert list(tap_tensors(trace, inference, [hidden, key])) == ["key_1"]
    nameless = replace(query, offer=replace(query.offer, row=replace(query.row, anchors=("no/such/weight",))))
    assert tap_tensors(trace, inference, [nameless]) == {}
