"""Tensors between the blocks, found in the module's own graph."""

from __future__ import annotations

import pytest

from surgery.explanation.inferring import infer_architecture
from surgery.graphs.fingerprints import Fingerprints
from surgery.proof.inner_tensors import inner_tensors
from tests.support.editing import inspected
from tests.support.sample_names import BERT_MODULES


def found_in(folder):
    module = inspected(folder)
    inference = infer_architecture(module)
    trace = module.trace("__call__", training=False)
    return trace, inference, inner_tensors(trace, inference)


@pytest.mark.parametrize("name", BERT_MODULES)
def test_the_embedding_and_every_block_are_found(name: str, modules):
    _, inference, inner = found_in(modules(name))
    blocks = inference.architecture["num_hidden_layers"]
    assert sorted(inner) == sorted(["embedding_output", *(f"encoder_outputs_{i}" for i in range(blocks))])
    assert len({(tensor.node, tensor.port) for tensor in inner.values()}) == blocks + 1


@pytest.mark.parametrize("name", ["g4_bert_mlm", "g4_electra", "g4_bert_v2", "g4_prenorm"])
def test_where_the_call_returns_its_blocks_they_are_the_same_tensors(name: str, modules):
    trace, _, inner = found_in(modules(name))
    graph = trace.open_graph()
    prints = Fingerprints(graph, {})
    returned = {path: tensor for (path, _), tensor in zip(trace.flat_outputs, graph.outputs, strict=True)}
    for block in range(3):
        assert prints.of(inner[f"encoder_outputs_{block}"]) == prints.of(returned[f"encoder_outputs[{block}]"])
    assert prints.of(inner["embedding_output"]) not in {prints.of(tensor) for tensor in returned.values()}
