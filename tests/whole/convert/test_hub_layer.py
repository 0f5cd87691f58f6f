"""A classifier that was trained around a hub.KerasLayer and saved again: the encoder inside, with its new weights."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf

import surgery
from surgery.checkpoints.plan import CheckpointRequest
from surgery.jobs.checkpoint import write_checkpoint
from tests.support.builders import classifier
from tests.support.conversions import two_batches
from tests.support.sample_names import LAYER_SAMPLES

pytestmark = pytest.mark.usefixtures("short_battery")

ENCODER = "g4_bert_dropouts"


@pytest.fixture(scope="module")
def trained(source, tmp_path_factory):
    """The folder of a classifier of texts that was trained around an encoder."""
    return classifier.build_module(tmp_path_factory.mktemp("classifier") / "trained", source(ENCODER))


def test_the_encoder_inside_is_converted_with_its_fine_tuned_weights(trained, converted, tmp_path):
    done = surgery.convert(trained, tmp_path / "out" / "1", keep_head=True)
    assert done.report.passed
    assert set(done.plan.module.assets) >= {"vocab_file"}
    assert (tmp_path / "out" / "1" / "assets" / "vocab.txt").is_file()
    assert {d.name for d in done.report.outputs} >= {"embedding_output", *(f"encoder_outputs_{i}" for i in range(3))}
    tuned, before = (tf.saved_model.load(str(path)) for path in (tmp_path / "out" / "1", converted(ENCODER).export))
    values = {v.name: v.numpy() for v in tuned.trainable_variables}
    still = [v.name for v in before.trainable_variables if np.abs(v.numpy() - values[v.name]).max() < 1e-3]
    assert all(name.endswith("key/bias:0") for name in still)  # the one weight without a gradient
    inner = tf.saved_model.load(str(trained))
    layer = getattr(inner, "layer_with_weights-0")
    ids = tf.constant([[2, 5, 9], [7, 1, 0]])
    tokens = {"input_word_ids": ids, "input_mask": tf.cast(ids > 0, tf.int32), "input_type_ids": tf.zeros_like(ids)}
    expected, found = layer._func(tokens, training=False, mask=None), tuned(tokens)
    np.testing.assert_allclose(found["pooled_output"], expected["pooled_output"], atol=1e-5)
    head = getattr(inner, "layer_with_weights-1")
    logits = tuned.signatures["classifier"](**tokens)["classifier"]  # the source itself takes texts only
    np.testing.assert_allclose(logits, expected["pooled_output"] @ head.kernel + head.bias, atol=1e-5)


def test_a_fine_tuned_classifier_becomes_one_of_transformers(trained, tmp_path):
    """Its head has the name of its layer, and one label without an activation, which says nothing of the problem."""
    request = CheckpointRequest(merge_dropout=0.05)
    done = write_checkpoint(str(trained), tmp_path / "out", request, verify=True, battery=two_batches)
    assert {"pooled_output", "classifier.logits"} <= {diff.name for diff in done.differences.outputs}
    config = json.loads((done.destination / "config.json").read_text())
    assert (config["architectures"], config["id2label"]) == (["BertForSequenceClassification"], {"0": "LABEL_0"})
    assert "problem_type" not in config
    assert (done.destination / "vocab.txt").is_file()


def test_head_optimiser_and_metrics_are_dropped_each_with_its_reason(trained):
    plan = surgery.plan(trained)
    because = {dropped.variable.name: dropped.because for dropped in plan.weights.dropped}
    assert "weight of the model around the encoder" in because["classifier/kernel"]
    assert "weight of the model around the encoder" in because["classifier/bias"]
    assert "slot or counter of the optimiser" in because["Adam/v/word_embeddings/embeddings"]
    assert "counter of a metric" in because["total"]
    kept = [v.attribute for v in plan.weights.kept]
    assert kept == ["do_lower_case"]
    assert len(plan.weights.assignments) + len(because) + len(kept) == len(plan.module.variables)


@pytest.mark.parametrize("name", LAYER_SAMPLES)
def test_a_module_of_every_family_is_found_inside_a_layer(name, source, tmp_path):
    module = classifier.wrap(tmp_path / "wrapped", source(name))
    done = surgery.convert(module, tmp_path / "out" / "1", taps=["attention_probs@-1"])
    assert done.report.passed
    assert [(d.variable.name, d.because) for d in done.plan.weights.dropped] == [
        ("head", "a weight of the model around the encoder (head), not of the encoder")
    ]


def test_two_encoders_in_one_model_are_named_and_refused(source, tmp_path):
    module = classifier.wrap(tmp_path / "two", source("one_block"), layers=("answer", "question"))
    with pytest.raises(surgery.ModuleError, match="found 2: answer, question"):
        surgery.inspect(module)


def test_the_module_as_it_was_before_training_is_not_the_encoder_inside(trained, converted):
    found = surgery.verify(trained, converted(ENCODER).export)
    assert not found.report.passed
    assert len(found.report.weights.mismatches) > 40
