"""Calling an export from Python: dict or list, every training mode, `.mlm`, from wherever the folder lies."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import tensorflow as tf

import surgery

DROPOUTS = (
    "embedding_dropout",
    "attention_probs_dropout",
    "attention_output_dropout",
    "intermediate_dropout",
    "output_dropout",
)


def tensors(arrays):
    return {name: tf.constant(value) for name, value in arrays.items()}


def as_list(inputs):
    return [inputs[name] for name in ("input_word_ids", "input_mask", "input_type_ids")]


@pytest.mark.parametrize(("name", "blocks"), [("g4_bert_dropouts", 3), ("g3_small", 4), ("no_encoder_outputs", 2)])
def test_a_dict_goes_in_and_a_dict_with_every_block_output_comes_out(name, blocks, load, tokens):
    inputs = tensors(tokens())
    outputs = load(name)(inputs, training=False)
    assert {"pooled_output", "sequence_output", "encoder_outputs", "embedding_output"} <= outputs.keys()
    assert isinstance(outputs["encoder_outputs"], list)
    assert len(outputs["encoder_outputs"]) == blocks
    assert np.array_equal(outputs["encoder_outputs"][-1], outputs["sequence_output"])
    assert all(block.shape == outputs["embedding_output"].shape for block in outputs["encoder_outputs"])
    assert outputs["pooled_output"].shape == (3, outputs["sequence_output"].shape[-1])


@pytest.mark.parametrize("name", ["g4_bert_dropouts", "g4_bert_v2", "no_encoder_outputs"])
def test_default_is_the_pooled_output_where_the_module_has_it(name, load, tokens):
    outputs = load(name)(tensors(tokens()), training=False)
    assert np.array_equal(outputs["default"], outputs["pooled_output"])


def test_training_left_out_is_inference(load, tokens):
    inputs = tensors(tokens())
    for name in ("g4_bert_dropouts", "g1"):
        left_out, off = load(name)(inputs), load(name)(inputs, training=False)
        assert np.array_equal(left_out["sequence_output"], off["sequence_output"])
        assert np.array_equal(load(name)(inputs, False)["pooled_output"], off["pooled_output"])


@pytest.mark.parametrize("name", ["g4_bert_dropouts", "g1"])
def test_dropout_acts_in_training_and_only_there(name, load, tokens):
    inputs = tensors(tokens())
    first, second, off = (load(name)(inputs, training=mode) for mode in (True, True, False))
    for output in ("embedding_output", "sequence_output", "pooled_output"):
        assert not np.allclose(first[output], second[output], atol=1e-3)
        assert not np.allclose(first[output], off[output], atol=1e-3)


def test_dropout_on_the_embedding_has_the_modules_rate(load, tokens, converted):
    rate = converted("g1").conversion.plan.inference.architecture["embedding_dropout"]
    inputs = tensors(tokens(shape=(8, 40)))
    dropped = load("g1")(inputs, training=True)["embedding_output"].numpy()
    kept = load("g1")(inputs, training=False)["embedding_output"].numpy()
    assert abs(np.mean(dropped == 0) - rate) < 0.02
    assert np.allclose(dropped[dropped != 0], kept[dropped != 0] / (1 - rate), atol=1e-5)


@pytest.mark.parametrize("name", ["g1", "g4_bert_dropouts", "no_vocab", "one_type"])
def test_every_dropout_rate_in_the_exports_training_trace_is_the_modules(name, converted):
    done = converted(name)
    source = done.conversion.plan.inference.architecture
    own = surgery.inspect(done.export).inference.architecture
    assert [own[field] for field in DROPOUTS] == [source[field] for field in DROPOUTS]


def test_a_module_without_dropout_computes_the_same_in_training(load, tokens):
    outputs = [load("no_vocab")(tensors(tokens()), training=mode)["embedding_output"] for mode in (True, False)]
    assert np.array_equal(*outputs)


@pytest.mark.parametrize("name", ["g1", "g2_small", "list_call"])
def test_a_list_module_still_takes_the_list_and_returns_what_it_returned(name, load, tokens):
    inputs = as_list(tensors(tokens()))
    for training in (False, True):
        expected, found = load(name, "source")(inputs, training=training), load(name)(inputs, training=training)
        assert type(found) is type(expected)
        assert [value.shape for value in found] == [value.shape for value in expected]
    expected, found = load(name, "source")(inputs, training=False), load(name)(inputs)
    for left, right in zip(expected, found, strict=True):
        assert np.max(np.abs(left - right)) < 2e-5


def test_a_dict_module_returns_the_keys_that_it_returned_and_the_embedding(load, tokens):
    inputs = tensors(tokens())
    for name in ("g4_bert_mlm", "g4_electra"):
        expected, found = load(name, "source")(inputs, training=False), load(name)(inputs, training=False)
        assert found.keys() == expected.keys() | {"embedding_output"}
        for left, right in zip(
            tf.nest.flatten(expected), tf.nest.flatten({k: found[k] for k in expected}), strict=True
        ):
            assert np.max(np.abs(left - right)) < 2e-5


@pytest.mark.parametrize("name", ["g4_bert_mlm", "g4_bert_v2"])
def test_mlm_takes_what_it_took_and_returns_what_it_returned(name, load, tokens):
    inputs = {**tensors(tokens()), "masked_lm_positions": tf.constant([[0, 1], [1, 0], [1, 1]])}
    expected, found = load(name, "source").mlm(inputs, training=False), load(name).mlm(inputs, training=False)
    assert found.keys() - {"embedding_output"} == expected.keys()
    for key in expected:
        for left, right in zip(tf.nest.flatten(expected[key]), tf.nest.flatten(found[key]), strict=True):
            assert np.max(np.abs(left - right)) < 5e-5
    noisy = load(name).mlm(inputs, training=True)["mlm_logits"]
    assert not np.allclose(noisy, found["mlm_logits"], atol=1e-3)


def test_mlm_shares_its_weights_with_the_encoder(converted, tokens):
    loaded = tf.saved_model.load(str(converted("g4_bert_mlm").export))
    inputs = {**tensors(tokens()), "masked_lm_positions": tf.constant([[0, 1]] * 3)}
    (kernel,) = [v for v in loaded.variables if v.name.startswith("transformer/layer_2/output/kernel")]
    before = loaded.mlm(inputs, training=False)
    kernel.assign(tf.zeros_like(kernel))
    after = loaded.mlm(inputs, training=False)
    alone = loaded({k: v for k, v in inputs.items() if k != "masked_lm_positions"}, training=False)
    assert np.array_equal(after["sequence_output"], alone["sequence_output"])
    assert not np.allclose(after["mlm_logits"], before["mlm_logits"], atol=1e-3)
    (table,) = [v for v in loaded.mlm.variables if v.name.startswith("word_embeddings/embeddings")]
    assert any(v is table for v in loaded.variables)


def test_an_export_works_from_another_place_after_its_module_is_gone(source, tmp_path, tokens, load):
    module = shutil.copytree(source("one_block"), tmp_path / "module")
    surgery.convert(module, tmp_path / "out" / "1")
    shutil.rmtree(module)
    moved = (tmp_path / "out" / "1").rename(tmp_path / "elsewhere")
    loaded = tf.saved_model.load(str(moved))
    inputs = tensors(tokens())
    expected = load("one_block")(inputs, training=False)["sequence_output"]
    assert np.array_equal(loaded(inputs, training=False)["sequence_output"], expected)
    assert tf.io.gfile.exists(loaded.vocab_file.asset_path.numpy())
