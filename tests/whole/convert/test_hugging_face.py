"""Exports of Hugging Face checkpoints against what transformers itself returned, and what a checkpoint may lack."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file

import surgery
from surgery.export.weights import Weights
from surgery.proof import layers
from surgery.tf.building import build_encoder
from tests.support.builders import hugging_face
from tests.support.editing import inspected
from tests.support.reference_numpy import G4, Bert, read_weights
from tests.support.sample_names import HUGGING_FACE_SAMPLES, TAPPED_CHECKPOINTS, WITHOUT_POOLER
from tests.support.tampering import contents

CLOSE = 1e-5
BLOCKS = 3


@pytest.fixture
def expected(source):
    """What transformers returned for a sample, and on which inputs, by its own names."""
    return lambda name: dict(np.load(source(name) / "expected.npz"))


def inputs(expected: Mapping[str, np.ndarray]) -> dict[str, tf.Tensor]:
    theirs = {"input_word_ids": "input_ids", "input_mask": "attention_mask", "input_type_ids": "token_type_ids"}
    return {ours: tf.constant(expected[name]) for ours, name in theirs.items() if name in expected}


def error(found: tf.Tensor, expected: np.ndarray) -> float:
    assert tuple(found.shape) == expected.shape
    return float(np.max(np.abs(found.numpy() - expected)))


@pytest.mark.parametrize("name", HUGGING_FACE_SAMPLES)
def test_every_hidden_state_of_an_export_is_what_transformers_computes(name, expected, load):
    theirs = expected(name)
    outputs, served = load(name)(inputs(theirs)), load(name).signatures["serving_default"](**inputs(theirs))
    assert len(outputs["encoder_outputs"]) == BLOCKS
    for found in (outputs["embedding_output"], served["embedding_output"]):
        assert error(found, theirs["hidden_states_0"]) <= CLOSE
    for block in range(BLOCKS):
        for found in (outputs["encoder_outputs"][block], served[f"encoder_outputs_{block}"]):
            assert error(found, theirs[f"hidden_states_{block + 1}"]) <= CLOSE
    assert error(outputs["sequence_output"], theirs["last_hidden_state"]) <= CLOSE
    assert ("pooled_output" in outputs) == ("pooler_output" in theirs) == (name not in WITHOUT_POOLER)
    if "pooler_output" in theirs:
        assert error(outputs["pooled_output"], theirs["pooler_output"]) <= CLOSE
        assert error(outputs["default"], theirs["pooler_output"]) <= CLOSE


# The maps of the others are outputs of exports: test_taps.py compares those.
@pytest.mark.parametrize("name", [name for name in HUGGING_FACE_SAMPLES if name not in TAPPED_CHECKPOINTS])
def test_the_attention_of_every_block_is_what_transformers_computes(name, expected, converted):
    plan, theirs, seen = converted(name).conversion.plan, expected(name), []
    weights = Weights(plan.weights, plan.module.open_tensors().read, {})
    encoder = build_encoder(plan.inference, weights)

    def watched(call):
        def run(*arguments, **named):
            seen.append(call(*arguments, **named))
            return seen[-1]

        return run

    for block in encoder.network._transformer_layers:
        softmax = block._attention_layer._softmax
        softmax.call = watched(softmax.call)
    encoder.encode(inputs(theirs), training=False)
    assert len(seen) == BLOCKS
    for block, found in enumerate(seen):
        assert error(found, theirs[f"attentions_{block}"]) <= CLOSE


@pytest.mark.parametrize("name", WITHOUT_POOLER)
def test_a_checkpoint_without_a_pooler_gives_an_export_without_one(name, expected, converted, load):
    outputs = load(name)(inputs(expected("hf_bert" if name == "hf_bert_no_pooler" else name)))
    assert sorted(outputs) == ["embedding_output", "encoder_outputs", "sequence_output"]
    served = load(name).signatures["serving_default"].structured_outputs
    assert sorted(served) == ["embedding_output", *(f"encoder_outputs_{i}" for i in range(BLOCKS)), "sequence_output"]
    export = converted(name).export
    assert not [v.name for v in inspected(export).variables if "pooler" in v.name]
    stored = tf.train.load_checkpoint(str(export / "variables" / "variables")).get_variable_to_shape_map()
    owners = (load(name), getattr(load(name), "mlm", load(name)))
    listed = {variable.name for owner in owners for variable in owner.variables}
    assert sum(1 for key in stored if key.endswith("VARIABLE_VALUE")) == len(listed)


def test_without_its_pooler_a_bert_is_the_same_in_all_that_is_left(expected, load):
    tokens = inputs(expected("hf_bert"))
    whole, without = load("hf_bert")(tokens), load("hf_bert_no_pooler")(tokens)
    for name in without:
        for found, wanted in zip(tf.nest.flatten(without[name]), tf.nest.flatten(whole[name]), strict=True):
            assert error(found, wanted.numpy()) <= 1e-6


@pytest.mark.parametrize("name", ["hf_electra", "hf_bert_no_pooler", "hf_distilbert"])
def test_an_export_without_a_pooler_converts_again(name, converted, tmp_path):
    again = surgery.convert(converted(name).export, tmp_path / "again")
    assert again.report.passed
    assert again.plan.signatures == converted(name).conversion.plan.signatures
    assert again.report.weights.compared == converted(name).conversion.report.weights.compared


def test_another_epsilon_is_another_function_and_the_export_has_the_one_of_the_config(converted, expected, load):
    tokens = inputs(expected("hf_bert"))
    weights = read_weights(converted("hf_bert_epsilon").export)
    found = load("hf_bert_epsilon").signatures["serving_default"](**tokens)
    by_hand = {
        epsilon: Bert(weights, G4, heads=4, exact_gelu=True, epsilon=epsilon).run(
            {k: v.numpy() for k, v in tokens.items()}
        )
        for epsilon in (1e-5, 1e-12)
    }
    assert found.keys() == by_hand[1e-5].keys()
    for name in found:
        assert error(found[name], by_hand[1e-5][name]) <= CLOSE
    assert error(found["embedding_output"], by_hand[1e-12]["embedding_output"]) > CLOSE
    assert error(found["sequence_output"], by_hand[1e-12]["sequence_output"]) > 2 * CLOSE


@pytest.mark.parametrize("name", ["hf_bert", "hf_albert", "hf_electra", "tf1_albert_training"])
def test_every_trainable_variable_has_a_gradient(name, load, tokens):
    loaded = load(name)
    assert len(loaded.trainable_variables) == len([v for v in loaded.variables if "do_lower_case" not in v.name])
    with tf.GradientTape() as tape:
        outputs = loaded({key: tf.constant(value) for key, value in tokens(vocab=1200).items()}, training=True)
        ends = [outputs[key] for key in ("sequence_output", "pooled_output") if key in outputs]
        scalar = tf.add_n([tf.reduce_sum(end**3) for end in ends])
    variables = [v for v in loaded.trainable_variables if not v.name.startswith("cls/")]
    for variable, gradient in zip(variables, tape.gradient(scalar, variables), strict=True):
        assert gradient is not None, variable.name
        # A key's bias shifts all logits of a row alike, so that only rounding is left of its gradient.
        assert "key/bias" in variable.name or np.any(tf.convert_to_tensor(gradient).numpy() != 0), variable.name


def test_buffers_and_tied_weights_of_pretraining_are_left_behind_with_their_reasons(converted, expected, load):
    manifest = converted("hf_bert_pretraining").conversion.manifest
    dropped = {row["variable"]: row["because"] for row in manifest["dropped"]}
    assert len(dropped) == 5
    assert "counts positions" in dropped["bert.embeddings.position_ids"]
    assert "shares it with the word embeddings" in dropped["cls.predictions.decoder.weight"]
    assert "next-sentence head" in dropped["cls.seq_relationship.weight"]
    tokens = inputs(expected("hf_bert"))
    assert error(load("hf_bert_pretraining")(tokens)["pooled_output"], expected("hf_bert")["pooler_output"]) <= CLOSE


def test_the_masked_lm_head_of_pretraining_becomes_mlm(converted, expected, load, source):
    found, theirs = load("hf_bert_pretraining"), expected("hf_bert")
    positions = np.array([[0, 2]] * len(theirs["input_ids"]), np.int32)
    logits = found.mlm(inputs(theirs) | {"masked_lm_positions": tf.constant(positions)})["mlm_logits"]
    head = {name: value for name, value in load_file(source("hf_bert_pretraining") / "model.safetensors").items()}
    x = np.take_along_axis(theirs["last_hidden_state"], positions[:, :, None], 1)
    scope = "cls.predictions.transform."
    x = layers.gelu(x @ head[f"{scope}dense.weight"].T + head[f"{scope}dense.bias"])
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
    x = x * head[f"{scope}LayerNorm.gamma"] + head[f"{scope}LayerNorm.beta"]
    assert error(logits, x @ head["bert.embeddings.word_embeddings.weight"].T + head["cls.predictions.bias"]) <= CLOSE
    outputs = {diff.name for diff in converted("hf_bert_pretraining").conversion.report.outputs}
    assert "mlm.mlm_logits" in outputs


def test_the_report_says_that_the_reference_is_the_config_s_function_in_float64(converted):
    done = converted("hf_bert").conversion
    assert "config.json" in done.report.reference
    assert "float64" in done.report.reference
    assert done.manifest["parity"]["reference"] == done.report.reference
    assert done.manifest["source"]["sha256"].keys() == {"config.json", "model.safetensors"}


def test_an_export_is_verified_against_its_checkpoint_and_no_other(converted):
    sound = surgery.verify(converted("hf_bert").source, converted("hf_bert").export)
    assert sound.report.passed
    assert sound.notes == ("assets.extra/surgery.json names this module's own files as its source",)
    other = surgery.verify(converted("hf_bert_epsilon").source, converted("hf_bert").export).report
    assert other.first_divergence.name == "embedding_output"
    assert other.weights.passed
    assert any("layer_norm_eps: the module has 1e-05, the export 1e-12" in line for line in other.contract)
    weights = surgery.verify(converted("hf_bert_gelu_new").source, converted("hf_bert").export).report
    assert not weights.passed


def test_what_the_tokenizer_s_config_says_becomes_an_attribute(tmp_path):
    checkpoint = hugging_face.build(tmp_path / "bert")
    (checkpoint / "tokenizer_config.json").write_text('{"do_lower_case": false}', encoding="utf-8")
    surgery.convert(checkpoint, tmp_path / "export")
    loaded = tf.saved_model.load(str(tmp_path / "export"))
    assert bool(loaded.do_lower_case) is False
    assert tf.io.read_file(loaded.vocab_file.asset_path).numpy() == (checkpoint / "vocab.txt").read_bytes()


def one_nan(value):
    value[3] = np.nan
    return value


def test_a_nan_is_refused_by_name_or_allowed_and_counted(tmp_path):
    name = "encoder.layer.1.output.dense.bias"
    checkpoint = hugging_face.build(tmp_path / "bert", hugging_face.with_value(name, one_nan))
    before = contents(checkpoint)
    with pytest.raises(surgery.ModuleError, match=rf"{name}: 1 of its 48 values are NaN"):
        surgery.convert(checkpoint, tmp_path / "export")
    assert not (tmp_path / "export").exists()
    done = surgery.convert(checkpoint, tmp_path / "export", allow_nonfinite=True)
    assert done.report.nonfinite_weights == {name: 1}
    diffs = {diff.name: diff.nonfinite for diff in done.report.outputs}
    assert diffs["encoder_outputs_0"] == (0, 0)
    assert diffs["encoder_outputs_1"][0] == diffs["encoder_outputs_1"][1] > 0
    assert contents(checkpoint) == before
