"""Training counts too: the trainable variables are the module's, and a loaded export can be trained as it can.

That every gradient is the module's is proven in double precision: test_gradients.
"""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import surgery
from surgery.formats import object_graph
from tests.support.editing import edited, objects


def tensors(arrays):
    return {name: tf.constant(value) for name, value in arrays.items()}


def names(variables):
    return {variable.name.removesuffix(":0") for variable in variables}


def call(loaded, inputs, *, as_list, head):
    """Pooled and sequence output, and the logits where the head is asked for."""
    if as_list:
        ordered = [inputs[name] for name in ("input_word_ids", "input_mask", "input_type_ids")]
        return list(loaded(ordered, training=False))
    found = (loaded.mlm if head else loaded)(inputs, training=False)
    return [found[key] for key in ("pooled_output", "sequence_output", *(["mlm_logits"] if head else []))]


def gradients(loaded, inputs, *, as_list=False, head=False):
    """The gradient of one fixed scalar of all outputs for every trainable weight, by variable name, dense."""
    variables = (loaded.mlm if head else loaded).trainable_variables
    with tf.GradientTape() as tape:
        outputs = call(loaded, inputs, as_list=as_list, head=head)
        weights = [np.random.default_rng(i).normal(size=value.shape) for i, value in enumerate(outputs)]
        scalar = tf.add_n(
            [tf.reduce_sum(v * tf.constant(w, tf.float32)) for v, w in zip(outputs, weights, strict=True)]
        )
    found = tape.gradient(scalar, variables)
    return {v.name.removesuffix(":0"): tf.convert_to_tensor(g).numpy() for v, g in zip(variables, found, strict=True)}


@pytest.mark.parametrize(("name", "as_list", "head"), [("g3_small", True, False), ("g4_bert_mlm", False, True)])
def test_a_loaded_export_has_the_gradients_of_the_loaded_module(name, as_list, head, converted, load, tokens):
    inputs = tensors(tokens(vocab=1200, shape=(4, 17)))
    if head:
        inputs["masked_lm_positions"] = tf.constant([[0, 3, 1]] * 4)
    expected = gradients(load(name, "source"), inputs, as_list=as_list, head=head)
    found = gradients(load(name), inputs, as_list=as_list, head=head)
    weights = converted(name).conversion.plan.weights
    moved = {
        a.target: a.layout.apply(expected[a.variable.name], weights.sizes)
        for a in weights.assignments
        if head or a.part == "encoder"
    }
    assert found.keys() == moved.keys()
    assert len(moved) == len(expected)
    largest = max(np.linalg.norm(gradient) for gradient in moved.values())
    for target, gradient in moved.items():
        allowed = 1e-4 * np.linalg.norm(gradient) + 1e-6 * largest
        assert np.linalg.norm(found[target] - gradient) <= allowed, target


@pytest.mark.parametrize("name", ["g1", "g3_small", "g4_bert_mlm"])
def test_the_trainable_variables_are_the_modules(name, converted, load):
    target_of = {a.variable.name: a.target for a in converted(name).conversion.plan.weights.assignments}
    expected, found = load(name, "source"), load(name)
    assert names(found.trainable_variables) == {target_of[name] for name in names(expected.trainable_variables)}
    assert all(variable.trainable for variable in found.trainable_variables)
    assert names(found.variables) - names(found.trainable_variables) <= {"do_lower_case"}


def test_the_variables_of_mlm_are_the_encoders_and_the_heads(load):
    found, expected = load("g4_bert_mlm"), load("g4_bert_mlm", "source")
    theirs = {name.removeprefix("bert/") for name in names(expected.mlm.trainable_variables)}
    assert names(found.mlm.trainable_variables) == theirs
    head = names(found.mlm.variables) - names(found.variables)
    assert head == {
        "cls/predictions/output_bias/bias",
        "cls/predictions/transform/dense/kernel",
        "cls/predictions/transform/dense/bias",
        "cls/predictions/transform/LayerNorm/gamma",
        "cls/predictions/transform/LayerNorm/beta",
    }


def test_every_variable_has_its_clean_name(converted, load):
    for name in ("g1", "g4_bert_v2", "g4_electra"):
        targets = {a.target for a in converted(name).conversion.plan.weights.assignments if a.part == "encoder"}
        assert names(load(name).variables) == targets | {"do_lower_case"}


def freeze(saved_model, prefix):
    """Leaves variables off the root's trainable list, as a frozen Keras layer leaves its own."""
    graph = objects(saved_model)
    listed = graph.nodes[object_graph.children(graph, object_graph.ROOT)["trainable_variables"]]
    kept = [
        child.node_id
        for child in listed.children
        if child.local_name.isdigit() and not graph.nodes[child.node_id].variable.name.startswith(prefix)
    ]
    del listed.children[:]
    for number, node in enumerate(kept):
        listed.children.add(node_id=node, local_name=str(number))


@pytest.mark.parametrize(
    ("name", "prefix", "trainable"),
    [("g4_bert_dropouts", ("word_embeddings", "transformer/layer_0"), 38), ("one_block", ("",), 0)],
    ids=["embedding and block 0 frozen", "all frozen"],
)
def test_what_was_frozen_in_the_module_is_frozen_in_the_export(name, prefix, trainable, source, tmp_path):
    module = edited(source(name), tmp_path / "module", lambda pb: freeze(pb, prefix))
    done = surgery.convert(module, tmp_path / "export")
    assert done.report.passed
    expected, found = (tf.saved_model.load(str(folder)) for folder in (module, tmp_path / "export"))
    assert names(found.trainable_variables) == names(expected.trainable_variables)
    assert len(found.trainable_variables) == trainable
    assert {v.name for v in found.variables if v.trainable} == {v.name for v in found.trainable_variables}
    rows = {row["target"]: row["trainable"] for row in done.manifest["assignments"]}
    assert sum(rows.values()) == trainable
