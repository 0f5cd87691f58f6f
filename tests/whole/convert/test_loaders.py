"""An export through every door: hub.KerasLayer, hub.load, a v1 Session, and the C API without Python."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_hub as hub
import tf_keras

from scripts.tools.runtimes.c_client import run_client
from surgery.formats import saved_model as saved_model_pb

v1 = tf.compat.v1


def tensors(arrays):
    return {name: tf.constant(value) for name, value in arrays.items()}


def served(load, name, inputs):
    found = load(name).signatures["serving_default"](**tensors(inputs))
    return {key: value.numpy() for key, value in found.items()}


def tensor_names(export, signature="serving_default"):
    (meta_graph,) = saved_model_pb.read(export / "saved_model.pb").meta_graphs
    found = meta_graph.signature_def[signature]
    return [{key: info.name for key, info in side.items()} for side in (found.inputs, found.outputs)]


@pytest.mark.parametrize("name", ["g4_bert_mlm", "g1"])
def test_one_training_step_through_keras_layer_changes_the_weights_and_lowers_the_loss(name, converted, tokens):
    layer = hub.KerasLayer(str(converted(name).export), trainable=True)
    classify = tf_keras.layers.Dense(1, kernel_initializer=tf_keras.initializers.Constant(0.1))
    inputs, labels = tensors(tokens(shape=(4, 9))), tf.constant([[1.0], [0.0], [1.0], [0.0]])

    def loss_of():
        pooled = layer(inputs, training=False)["pooled_output"]
        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels, classify(pooled)))

    first = loss_of()
    encoder = [a for a in converted(name).conversion.plan.weights.assignments if a.part == "encoder"]
    assert len(layer.trainable_variables) == len(encoder)
    before = {v.name: v.numpy() for v in layer.trainable_variables}
    variables = [*layer.trainable_variables, *classify.trainable_variables]
    with tf.GradientTape() as tape:
        loss = loss_of()
    tf_keras.optimizers.SGD(0.05).apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
    assert loss_of() < first
    same = {v.name for v in layer.trainable_variables if np.array_equal(before[v.name], v.numpy())}
    without_gradient = {f"transformer/layer_{i}/self_attention/key/bias:0" for i in range(3)}
    assert same <= without_gradient


def test_a_keras_model_around_the_layer_fits_with_dropout(converted, tokens):
    names = ("input_word_ids", "input_mask", "input_type_ids")
    inputs = {name: tf_keras.Input((None,), dtype=tf.int32, name=name) for name in names}
    layer = hub.KerasLayer(str(converted("g4_bert_dropouts").export), trainable=True)
    outputs = tf_keras.layers.Dense(1)(layer(inputs)["pooled_output"])
    model = tf_keras.Model(inputs, outputs)
    model.compile(tf_keras.optimizers.Adam(1e-3), tf_keras.losses.BinaryCrossentropy(from_logits=True))
    labels = np.array([[1.0], [0.0], [1.0], [0.0]], np.float32)
    history = model.fit(tokens(shape=(4, 9)), labels, epochs=4, verbose=0).history["loss"]
    assert history[-1] < history[0]


def test_a_frozen_keras_layer_has_nothing_to_train(converted, tokens):
    layer = hub.KerasLayer(str(converted("g4_bert_dropouts").export), trainable=False)
    layer(tensors(tokens()))
    assert layer.trainable_variables == []
    assert len(layer.variables) == len(converted("g4_bert_dropouts").conversion.plan.weights.assignments) + 1


def test_hub_load_gives_the_same_function(converted, load, tokens):
    inputs = tokens()
    loaded = hub.load(str(converted("g3_small").export))
    found = loaded(tensors(inputs), training=False)
    expected = served(load, "g3_small", inputs)
    assert np.max(np.abs(found["pooled_output"] - expected["pooled_output"])) < 1e-5
    assert np.max(np.abs(found["encoder_outputs"][1] - expected["encoder_outputs_1"])) < 1e-5


@pytest.mark.parametrize("name", ["g1", "g4_electra"])
def test_a_v1_session_runs_the_signature(name, converted, load, tokens):
    export, inputs = converted(name).export, tokens()
    with tf.Graph().as_default(), v1.Session() as session:
        v1.saved_model.load(session, ["serve"], str(export))
        feeds, fetches = tensor_names(export)
        found = session.run(fetches, {feeds[key]: value for key, value in inputs.items()})
    expected = served(load, name, inputs)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert np.max(np.abs(found[key] - value)) < 1e-5


def test_a_c_program_runs_every_output_of_the_default_signature(client, converted, load, tokens):
    export, inputs = converted("g4_bert_mlm").export, tokens(shape=(2, 5))
    feeds, fetches = tensor_names(export)
    found = run_client(client, export, {feeds[key]: value for key, value in inputs.items()}, fetches)
    expected = served(load, "g4_bert_mlm", inputs)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert found[key].shape == value.shape
        assert np.max(np.abs(found[key] - value)) < 1e-5


def test_a_c_program_runs_the_mlm_signature(client, converted, load, tokens):
    export, inputs = converted("g4_bert_mlm").export, tokens(shape=(1, 4))
    inputs["masked_lm_positions"] = np.array([[1, 3]], np.int32)
    feeds, fetches = tensor_names(export, "mlm")
    logits = {"mlm_logits": fetches["mlm_logits"]}
    found = run_client(client, export, {feeds[key]: value for key, value in inputs.items()}, logits)
    expected = load("g4_bert_mlm").mlm(tensors(inputs), training=False)["mlm_logits"]
    assert np.max(np.abs(found["mlm_logits"] - expected)) < 1e-5
