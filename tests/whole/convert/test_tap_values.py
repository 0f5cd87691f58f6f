"""What is tapped is what its name says: each step of each block in float64 numpy, from the export's own weights."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from surgery.planning.taps import offered
from tests.support import block_numpy
from tests.support.block_numpy import Block
from tests.support.reference_numpy import read_weights
from tests.support.sample_names import TAPPED

CLOSE = 5e-6

FORMS = {
    "g4_prenorm": block_numpy.pre_norm,
    "g4_talkheads": block_numpy.talking_heads,
    "g4_mobilebert": partial(block_numpy.mobilebert, norm=Block.affine),
    "g4_mobilebert_layer_norm": partial(block_numpy.mobilebert, norm=Block.norm),
}
EXACT = ("g4_mobilebert_layer_norm", "hf_bert", "hf_electra", "hf_roberta")
ACTIVATIONS = {"g4_mobilebert": "relu", **dict.fromkeys(EXACT, "gelu")}
EPSILONS = {"hf_roberta": 1e-5}
SCOPES = {
    **dict.fromkeys(("g4_albert", "tf1_albert_small", "hf_albert"), "transformer"),
    **dict.fromkeys(("g4_mobilebert", "g4_mobilebert_layer_norm"), "transformer_layer_{}"),
}


def steps(name, done, weights, block):
    """Each tap of a block, and its output, by float64 from the taps before it."""
    scope = SCOPES.get(name, "transformer/layer_{}").format(block)
    found = {tap: value.astype(np.float64) for tap, value in done.taps(block).items()}
    form = FORMS.get(name, block_numpy.post_norm)
    kind = Block(weights, scope, ACTIVATIONS.get(name, "gelu_tanh"), EPSILONS.get(name, 1e-12))
    return form(kind, done.states[block].astype(np.float64), done.inputs["input_mask"], found)


@pytest.mark.parametrize("name", TAPPED)
def test_every_tensor_of_a_block_is_what_float64_makes_of_those_before_it(name, tapped):
    done = tapped(name)
    weights = read_weights(done.export)
    for block in range(done.blocks):
        found = {**done.taps(block), "block_output": done.states[block + 1]}
        expected = steps(name, done, weights, block)
        assert expected.keys() == {*offered(done.conversion.plan.inference), "block_output"}
        for tap, value in expected.items():
            assert found[tap].shape == value.shape, tap
            allowed = CLOSE * max(1.0, np.abs(value).max())
            assert np.abs(found[tap] - value).max() <= allowed, f"{tap} of block {block}"


@pytest.mark.parametrize("name", ["g4_bert_mlm", "g4_albert", "g4_mobilebert", "g4_talkheads"])
def test_the_same_step_of_another_block_is_something_else(name, tapped):
    done = tapped(name)
    for tap, value in done.taps(0).items():
        assert np.abs(value - done.taps(1)[tap]).max() > 10 * CLOSE, tap
