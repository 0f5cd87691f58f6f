"""SavedModels of transformers' TensorFlow classes convert, with every tap, and become checkpoints again."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import surgery
from surgery.checkpoints.plan import CheckpointRequest
from surgery.formats.keras_metadata import KERAS_METADATA
from surgery.jobs.checkpoint import write_checkpoint
from surgery.jobs.convert import convert_module
from surgery.jobs.opened import open_weights
from surgery.jobs.steps import judge, open_export, record
from surgery.planning.plan import make_plan
from surgery.planning.requests import Request
from surgery.planning.taps import offered
from surgery.planning.texts import Texts
from surgery.scanning.gate import open_to_run
from tests.support.conversions import two_batches
from tests.support.editing import edited, set_constants
from tests.support.sample_names import TRANSFORMERS_SAMPLES
from tests.support.tampering import with_values

CLASSIFIER = "hf_tf_bert_classifier"
"""A classifier that returns hidden states and attentions, in a folder with its vocabulary."""
NOISE = 1e-12
"""The largest difference in double precision between equal functions."""


@pytest.fixture(scope="module")
def exported(modules, tmp_path_factory):
    """The conversion of a sample with every tap."""

    @cache
    def make(name: str):
        folder, plan = tmp_path_factory.mktemp("exported") / name / "1", surgery.plan(modules(name))
        request = Request(taps=tuple(offered(plan.inference)), keep_head=plan.inference.head is not None)
        texts = Texts() if plan.module.assets else None
        return convert_module(str(modules(name)), folder, request=request, texts=texts, battery=two_batches)

    return make


@pytest.mark.parametrize("name", [*TRANSFORMERS_SAMPLES, CLASSIFIER])
def test_every_output_and_every_tap_is_compared_with_the_module_s_own_graph(name, exported):
    done = exported(name)
    report, inference = done.report, done.plan.inference
    assert report.passed
    assert (report.unmatched, report.contract) == ((), ())
    assert max(diff.difference for diff in report.outputs) < NOISE
    assert all(diff.in_double for diff in report.outputs)
    compared = {diff.name for diff in report.outputs}
    blocks = range(inference.architecture.blocks)
    assert {f"taps.{tap}_{block}" for tap in offered(inference) for block in blocks} <= compared
    assert {"embedding_output", *(f"encoder_outputs_{block}" for block in blocks)} <= compared
    assert ("pooled_output" in compared) is (name not in ("hf_tf_electra", "hf_tf_distilbert"))
    assert any("training=True" in output for output in compared)
    head = 2 if name == CLASSIFIER else 0
    constants = len(done.plan.module.constants)
    assert report.weights.compared == len(done.plan.module.variables) + constants
    assert len(done.plan.weights.assignments) == len(inference.claims) + head


@pytest.mark.parametrize("name", TRANSFORMERS_SAMPLES)
def test_the_export_explains_itself_as_the_model_was_configured(name, exported):
    done = exported(name)
    own = surgery.inspect(done.destination).architecture
    assert own.family == done.plan.architecture.family
    differing = {field for field, value in done.plan.architecture.values.items() if own.values.get(field) != value}
    assert differing == {"attention_mask_adder"}, "Model Garden adds another number to the logits of padding"


def test_a_classifier_answers_and_returns_its_hidden_states_as_it_did(exported, modules):
    done = exported(CLASSIFIER)
    random = np.random.default_rng(1)
    ids = random.integers(5, 80, (3, 9)).astype(np.int32)
    mask = (np.arange(9)[None] < np.array([[9], [4], [1]])).astype(np.int32)
    types = random.integers(0, 2, ids.shape).astype(np.int32)
    model = tf.saved_model.load(str(modules(CLASSIFIER) / "saved_model" / "1"))
    theirs = model.signatures["serving_default"](
        input_ids=tf.constant(ids), attention_mask=tf.constant(mask), token_type_ids=tf.constant(types)
    )
    signatures = tf.saved_model.load(str(done.destination)).signatures
    inputs = {"input_word_ids": ids, "input_mask": mask, "input_type_ids": types}
    ours = {name: signatures[name](**{key: tf.constant(value) for key, value in inputs.items()}) for name in signatures}
    np.testing.assert_allclose(ours["classifier"]["logits"], theirs["logits"], atol=1e-5)
    states = [
        ours["serving_default"][name] for name in ("embedding_output", *(f"encoder_outputs_{n}" for n in (0, 1, 2)))
    ]
    np.testing.assert_allclose(np.stack(states), theirs["hidden_states"], atol=1e-5)
    maps = np.stack([ours["taps"][f"attention_probs_{block}"] for block in (0, 1, 2)])
    np.testing.assert_allclose(maps, theirs["attentions"], atol=1e-5)


def test_texts_are_those_of_the_vocabulary_beside_the_saved_model(exported, modules):
    done = exported(CLASSIFIER)
    vocabulary = (modules(CLASSIFIER) / "vocab.txt").read_bytes()
    for folder in (done.destination, done.text_destination):
        assert (folder / "assets" / "vocab.txt").read_bytes() == vocabulary
    words = vocabulary.decode().split()
    ids = [words.index(word) for word in ("[CLS]", "the", "cat", "[UNK]", "[SEP]")]  # a cased model knows no THE
    text = tf.saved_model.load(str(done.text_destination)).signatures["classifier_text"]
    tokens = tf.saved_model.load(str(done.destination)).signatures["classifier"]
    row = {
        "input_word_ids": tf.constant([ids], tf.int32),
        "input_mask": tf.ones([1, len(ids)], tf.int32),
        "input_type_ids": tf.zeros([1, len(ids)], tf.int32),
    }
    (found,) = text(tf.constant(["the cat THE"]))["logits"].numpy()
    np.testing.assert_allclose(found, tokens(**row)["logits"].numpy()[0], atol=1e-5)


@pytest.mark.parametrize("name", ["hf_tf_bert"])
def test_queries_and_keys_that_changed_places_are_named_by_tap_and_weight(name, exported, modules, tmp_path):
    scope = "tf_bert_model/bert/encoder/layer_._1/attention/self"
    query, key = f"{scope}/query/kernel", f"{scope}/key/kernel"
    swapped = tmp_path / "swapped"
    with_values(modules(name), swapped, lambda values: {query: values[key], key: values[query]})
    report = judged(swapped, exported(name))
    assert report.first_divergence.name in ("taps.query_1", "taps.key_1", "encoder_outputs_1")
    block = "transformer/layer_1/self_attention"
    assert {line.partition(":")[0] for line in report.weights.mismatches} == {
        f"{block}/{w}/kernel" for w in ("query", "key")
    }


@pytest.mark.parametrize("name", ["hf_tf_bert"])
def test_another_epsilon_is_another_function(name, exported, modules, tmp_path):
    other = edited(modules(name), tmp_path / "other", lambda saved: set_constants(saved, "batchnorm/add/y", 1e-4))
    metadata = other / KERAS_METADATA
    metadata.write_bytes(metadata.read_bytes().replace(b'"layer_norm_eps": 1e-12', b'"layer_norm_eps": 1e-04'))
    report = judged(other, exported(name))
    assert report.first_divergence.name == "embedding_output"
    assert any("layer_norm_eps" in line for line in report.contract)


def judged(module: Path, done):
    """The comparison of a changed module with the export of the unchanged one."""
    request = Request(taps=tuple(offered(done.plan.inference)))
    with open_to_run(str(module), trust=False) as opened:
        recorded = record(open_weights(make_plan(opened, Path(), None, request), two_batches))
    report = judge(recorded, open_export(done.destination))
    assert not report.passed
    return report


@pytest.mark.parametrize("name", ["hf_tf_distilbert", CLASSIFIER])
def test_a_checkpoint_computes_what_the_saved_model_computes(name, modules, tmp_path):
    request = CheckpointRequest(tokenizer=name == CLASSIFIER)
    done = write_checkpoint(str(modules(name)), tmp_path / name, request, verify=True, battery=two_batches)
    assert done.differences.passed
    assert done.differences.largest < NOISE
    assert {"embedding_output", "sequence_output"} <= {diff.name for diff in done.differences.outputs}
    assert (done.destination / "vocab.txt").exists() is request.tokenizer
