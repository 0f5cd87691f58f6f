"""TF1 hub.Modules become TF2 SavedModels: the same numbers, under TF2's names, with what tokenization_info said."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

import surgery

NAME = "tf1_bert_small"


def test_every_block_is_compared_with_the_inner_tensors_of_the_inference_graph(converted):
    report = converted(NAME).conversion.report
    names = {diff.name for diff in report.outputs}
    assert {"embedding_output", *(f"encoder_outputs_{i}" for i in range(3)), "mlm.mlm_logits"} <= names
    assert max(diff.difference for diff in report.outputs) < 1e-13


def test_rows_of_padding_are_reported_and_not_judged(converted):
    diffs = {diff.name: diff for diff in converted(NAME).conversion.report.outputs}
    assert diffs["sequence_output"].padding_rows > 1e-3  # -10000 against -1e9
    assert diffs["sequence_output"].passed


def test_tokenization_info_becomes_attributes(converted):
    loaded = tf.saved_model.load(str(converted(NAME).export))
    assert bool(loaded.do_lower_case) is True
    vocabulary = (converted(NAME).source / "assets" / "vocab.txt").read_bytes()
    assert tf.io.read_file(loaded.vocab_file.asset_path).numpy() == vocabulary


def test_it_is_called_like_a_module_of_today_and_gives_the_signature_s_numbers(converted):
    done = converted(NAME)
    loaded = tf.saved_model.load(str(done.export))
    ids = tf.constant([[2, 7, 9, 3], [2, 5, 3, 0]])
    tokens = {"input_word_ids": ids, "input_mask": tf.cast(ids > 0, tf.int32), "input_type_ids": tf.zeros_like(ids)}
    outputs = loaded(tokens)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        meta_graph = tf.compat.v1.saved_model.load(session, [], str(done.source))
        signature = meta_graph.signature_def["tokens"]
        feeds = {"input_ids": "input_word_ids", "input_mask": "input_mask", "segment_ids": "input_type_ids"}
        expected = session.run(
            {key: info.name for key, info in signature.outputs.items()},
            {signature.inputs[theirs].name: tokens[ours].numpy() for theirs, ours in feeds.items()},
        )
    for key in ("sequence_output", "pooled_output"):
        np.testing.assert_allclose(outputs[key].numpy(), expected[key], atol=1e-5)
    positions = tf.constant([[1, 2], [0, 1]])
    assert loaded.mlm({**tokens, "masked_lm_positions": positions})["mlm_logits"].shape == (2, 2, 1200)


def test_one_norm_that_a_block_applies_twice_fills_both_norms_of_the_encoder(converted):
    plan = converted("tf1_albert_small").conversion.plan
    twice = [a.target for a in plan.weights.assignments if a.variable.name.endswith("inner_group_0/LayerNorm/gamma")]
    assert twice == ["transformer/self_attention_layer_norm/gamma", "transformer/output_layer_norm/gamma"]
    assert "sp_model_file" in plan.module.assets


def test_the_training_graph_is_the_evidence_for_dropout_only(modules):
    inference = surgery.inspect(modules(NAME)).inference
    places = {e.field: e.place for e in inference.evidence}
    assert inference.architecture["attention_output_dropout"] == 0.1
    assert "dropout" in places["attention_output_dropout"]
