"""An export with taps through the doors of others: the C API by name, and tf.saved_model with gradients."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from scripts.tools.runtimes.c_client import run_client
from surgery.formats import saved_model as saved_model_pb

NAME = "hf_bert"
SIGNATURES = ("taps", "text", "depth_2")


@pytest.fixture(scope="module")
def loaded(tapped):
    return tf.saved_model.load(str(tapped(NAME).export))


def test_a_c_program_runs_taps_a_feature_and_a_shallower_encoder_by_name(client, tapped):
    done = tapped(NAME)
    (meta_graph,) = saved_model_pb.read(done.export / "saved_model.pb").meta_graphs
    feeds, fetches = {}, {}
    for name in SIGNATURES:
        signature = meta_graph.signature_def[name]
        feeds |= {info.name: done.inputs[key] for key, info in signature.inputs.items()}
        fetches |= {f"{name}.{key}": info.name for key, info in signature.outputs.items()}
    found = run_client(client, done.export, feeds, fetches)
    assert found.keys() == {f"{name}.{key}" for name in SIGNATURES for key in done.outputs[name]}
    for output, value in found.items():
        name, _, key = output.partition(".")
        assert value.shape == done.outputs[name][key].shape
        assert np.abs(value - done.outputs[name][key]).max() < 1e-5


def gradients(model, inputs, loss_of, *, training=False):
    """The gradient of a loss for each trainable weight, by name; zeros where it does not matter to the loss."""
    with tf.GradientTape() as tape:
        loss = loss_of(model({key: tf.constant(value) for key, value in inputs.items()}, training=training))
    found = tape.gradient(loss, model.trainable_variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return {
        variable.name.removesuffix(":0"): tf.convert_to_tensor(gradient).numpy()
        for variable, gradient in zip(model.trainable_variables, found, strict=True)
    }


def test_the_gradient_of_every_weight_is_that_of_an_export_without_taps(loaded, load, tapped):
    def loss_of(outputs):
        weights = np.random.default_rng(1).normal(size=outputs["pooled_output"].shape).astype(np.float32)
        return tf.reduce_sum(outputs["pooled_output"] * weights)

    inputs = tapped(NAME).inputs
    found, expected = gradients(loaded, inputs, loss_of), gradients(load(NAME), inputs, loss_of)
    assert found.keys() == expected.keys()
    largest = max(np.linalg.norm(gradient) for gradient in expected.values())
    for name, gradient in expected.items():
        assert np.linalg.norm(found[name] - gradient) <= 1e-6 * largest, name


def test_a_loss_on_a_tap_reaches_its_block_and_those_before_it_only(loaded, tapped):
    def loss_of(outputs):
        return tf.reduce_sum(tf.square(outputs["attention_output"][1]))

    norms = {
        name: np.linalg.norm(gradient)
        for name, gradient in gradients(loaded, tapped(NAME).inputs, loss_of, training=True).items()
    }
    before = ("layer_0/output/kernel", "layer_1/self_attention/value/kernel", "layer_1/self_attention/attention_output")
    behind = ("layer_1/output", "layer_1/intermediate", "layer_2", "pooler")
    assert all(norm > 1e-3 for name, norm in norms.items() if any(part in name for part in before))
    assert not any(norm for name, norm in norms.items() if any(part in name for part in behind))
