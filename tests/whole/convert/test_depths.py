"""Shallower encoders in an export: the first blocks only, over the same variables."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from surgery.formats import saved_model as saved_model_pb
from surgery.graphs.dataflow import PRODUCTS
from tests.support.editing import inspected
from tests.support.sample_names import COMPOSED
from tests.support.tampering import OBJECT_GRAPH
from tests.support.tapping import DEPTH


@pytest.mark.parametrize("name", COMPOSED)
def test_a_shallower_encoder_returns_what_the_first_blocks_return(name, tapped):
    done = tapped(name)
    shallow, whole = done.outputs[f"depth_{DEPTH}"], done.outputs["serving_default"]
    assert set(shallow) < set(whole)
    for output in set(shallow) - {"sequence_output"}:
        assert np.abs(shallow[output] - whole[output]).max() <= 1e-6, output
    assert np.abs(shallow["sequence_output"] - done.states[DEPTH]).max() <= 1e-6
    assert np.abs(shallow["sequence_output"] - whole["sequence_output"]).max() > 1e-3
    listed = [output for output in shallow if output.startswith("encoder_outputs")]
    assert (
        len(listed) == len([output for output in whole if output.startswith("encoder_outputs")]) - done.blocks + DEPTH
    )
    diffs = {diff.name: diff for diff in done.conversion.report.outputs}
    assert all(diffs[f"depth_{DEPTH}.{output}"].batches >= 5 for output in shallow)


@pytest.mark.parametrize("name", COMPOSED)
def test_shallower_encoders_taps_and_features_need_no_variables_of_their_own(name, tapped, converted):
    found, plain = tapped(name).export, converted(name).export
    assert stored(found) == stored(plain)
    # The checkpoint's object graph has a few bytes for each function.
    (with_more,), (without,) = (list((export / "variables").glob("*.data-*")) for export in (found, plain))
    assert 0 < with_more.stat().st_size - without.stat().st_size < 200


def stored(export):
    """Every tensor of a checkpoint with its shape, but for the object graph."""
    tensors = tf.train.list_variables(str(export / "variables" / "variables"))
    return [(key, shape) for key, shape in tensors if key != OBJECT_GRAPH]


def softmaxes(export, signature: str) -> int:
    """How many attentions stand in the functions that a signature runs, whether or not it returns anything of them."""
    library = saved_model_pb.read(export / "saved_model.pb").meta_graphs[0].graph_def.library
    functions = {function.signature.name: function for function in library.function}
    queue = [inspected(export).signature_traces[signature].function]
    found = 0
    while queue:
        function = functions[queue.pop()]
        found += sum(node.op == "Softmax" for node in function.node_def)
        queue += [node.attr["f"].func.name for node in function.node_def if "f" in node.attr]
    return found


def products(export, signature: str) -> int:
    """How many matrix products it takes to compute the outputs of a signature."""
    return sum(node.op in PRODUCTS for node in inspected(export).signature_traces[signature].open_graph().nodes)


@pytest.mark.parametrize("name", COMPOSED)
def test_blocks_beyond_the_depth_are_not_in_its_graph(name, tapped):
    done = tapped(name)
    assert softmaxes(done.export, "serving_default") == done.blocks
    assert softmaxes(done.export, f"depth_{DEPTH}") == DEPTH
    # A feature and a composed signature of the last blocks run all of them.
    assert softmaxes(done.export, "text") == softmaxes(done.export, "calm") == done.blocks
    assert products(done.export, f"depth_{DEPTH}") < products(done.export, "serving_default")


@pytest.mark.parametrize("name", COMPOSED)
def test_nothing_is_computed_again_for_a_tap(name, tapped):
    export = tapped(name).export
    assert products(export, "calm") == products(export, "serving_default")
    assert products(export, "taps") <= products(export, "serving_default")
