"""Every output of an export against an independent float64 computation from the module's own weights."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.support.reference_numpy import G1, G2, G4, G4_V2, Bert, read_weights

CLOSE = 1e-5

SAMPLES = {
    "g1": {"names": G1, "heads": 4, "mask_adder": -10000.0},
    "g1_exact": {"names": G1, "heads": 6, "epsilon": 1e-6, "exact_gelu": True, "mask_adder": -10000.0},
    "g2_small": {"names": G2, "heads": 4, "mask_adder": -10000.0},
    "g3_small": {"names": G4, "heads": 6},
    "g4_bert_mlm": {"names": G4, "heads": 4},
    "g4_electra": {"names": G4, "heads": 4},
    "g4_bert_v2": {"names": G4_V2, "heads": 4},
    "g4_prenorm": {"names": G4, "heads": 8, "norm_first": True},
}


def reference(name, source):
    return Bert(read_weights(source(name)), **SAMPLES[name])


def served(load, name, inputs):
    run = load(name).signatures["serving_default"]
    return {key: value.numpy() for key, value in run(**{k: tf.constant(v) for k, v in inputs.items()}).items()}


@pytest.mark.parametrize("name", SAMPLES)
def test_every_output_is_what_float64_arithmetic_gives(name, source, load, tokens):
    inputs = tokens(vocab=200)
    expected = reference(name, source).run(inputs)
    found = served(load, name, inputs)
    assert found.keys() == expected.keys()
    for output, value in expected.items():
        assert np.max(np.abs(found[output] - value)) <= CLOSE, output


@pytest.mark.parametrize("name", ["g1", "g2_small", "g3_small", "g4_electra"])
def test_the_embedding_output_is_what_enters_the_first_block(name, source, load, tokens):
    inputs = tokens(vocab=200, seed=8)
    bert, found = reference(name, source), served(load, name, inputs)
    embedded = bert.embed(inputs["input_word_ids"], inputs["input_type_ids"])
    assert np.max(np.abs(found["embedding_output"] - embedded)) <= CLOSE
    first = bert.block(found["embedding_output"].astype(np.float64), inputs["input_mask"], 0)
    assert np.max(np.abs(found["encoder_outputs_0"] - first)) <= CLOSE


def test_the_reference_tells_one_gelu_and_one_mask_from_another(source, tokens):
    inputs = tokens(vocab=200)
    bert = reference("g4_bert_mlm", source)
    other = Bert(bert.weights, G4, heads=4, exact_gelu=True)
    unmasked = {**inputs, "input_mask": np.ones_like(inputs["input_mask"])}
    expected = bert.run(inputs)["sequence_output"]
    assert np.max(np.abs(other.run(inputs)["sequence_output"] - expected)) > 10 * CLOSE
    assert np.max(np.abs(bert.run(unmasked)["sequence_output"] - expected)) > 10 * CLOSE
