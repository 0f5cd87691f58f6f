"""Modules whose pooled output is more than the pooler's: LaBSE and LEALLA, and MuRIL and the experts beside them."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import surgery
from surgery.errors import UnexplainedError, UsageError
from tests.support.conversions import Converted, few_batches
from tests.support.editing import edited, node_defs, set_constants, set_ops

VOCAB = 200
RATES = dict.fromkeys(
    ("embedding_dropout", "attention_probs_dropout", "attention_output_dropout", "output_dropout"), 0.1
)
"""Dropout rates, which LEALLA's graph does not show."""


@pytest.fixture(scope="module")
def lealla(source, tmp_path_factory):
    """LEALLA's sample and its export."""
    export = tmp_path_factory.mktemp("lealla") / "out" / "1"
    with few_batches():
        return Converted(source("lealla"), export, surgery.convert(source("lealla"), export, assume=RATES))


def test_the_normalised_output_keeps_its_name_and_the_poolers_stands_beside_it(converted, load, tokens):
    exported, module = load("labse"), load("labse", "source")
    inputs = tokens(vocab=VOCAB)
    listed = [inputs[name] for name in ("input_word_ids", "input_mask", "input_type_ids")]
    theirs = module(listed)
    for found in (exported(inputs), exported(listed)):
        assert {*theirs, "default"} <= {*found}
        np.testing.assert_allclose(found["pooled_output"], theirs["pooled_output"], atol=1e-6)
        np.testing.assert_allclose(found["default"], theirs["pooled_output"], atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(found["pooled_output"], axis=-1), 1.0, atol=1e-6)
    raw = exported(inputs)["pooler_output"]
    np.testing.assert_allclose(raw, module.network(listed)[1], atol=1e-6)
    assert {"pooled_output", "pooler_output"} <= {*exported.signatures["serving_default"].structured_outputs}
    assert "pooler_output" in converted("labse").conversion.report.inner


def test_a_call_with_a_list_returns_no_more_than_the_module_did(load, tokens):
    inputs = tokens(vocab=VOCAB)
    found = load("labse")([inputs[name] for name in ("input_word_ids", "input_mask", "input_type_ids")])
    assert {*found} == {"pooled_output", "default", "sequence_output"}


def with_axis(saved_model):
    set_constants(saved_model, "l2_normalize/Sum/reduction_indices", 0)


def with_another_root(saved_model):
    set_ops(saved_model, "l2_normalize/Rsqrt", "Sqrt")


def with_another_product(saved_model):
    for node in node_defs(saved_model, "lambda/l2_normalize"):
        node.input[0] = node.input[1]


@pytest.mark.parametrize("edit", [with_axis, with_another_root, with_another_product])
@pytest.mark.parametrize("name", ["labse"])
def test_anything_else_behind_the_pooler_is_refused_without_tensorflow_being_asked(edit, name, source, tmp_path):
    module = edited(source(name), tmp_path / "edited", edit)
    for command in (surgery.plan, partial(surgery.checkpoint, destination=tmp_path / "out")):
        with pytest.raises(UnexplainedError, match="pooled_output is not the pooler") as caught:
            command(module)
        assert "l2_normalize" in caught.value.hint
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["labse"])
def test_the_export_is_read_as_a_module_and_written_for_sentence_transformers(name, converted, tmp_path):
    for module in converted(name)[:2]:
        done = surgery.checkpoint(module, tmp_path / "out", verify=True, overwrite=True)
        assert {"pooled_output", "sentence_embedding"} <= {diff.name for diff in done.differences.outputs}
        assert done.differences.largest < 1e-13
    modules = json.loads((tmp_path / "out" / "modules.json").read_text())
    assert [module["type"].rpartition(".")[2] for module in modules] == ["Transformer", "Pooling", "Dense", "Normalize"]
    assert "`pooler_output` is the source's `pooled_output` before" in (tmp_path / "out" / "README.md").read_text()
    assert done.to_dict()["embedding"] == {"normalized": True, "shortest": 1e-6}


def test_a_damaged_weight_of_the_dense_module_is_caught(source, tmp_path, monkeypatch):
    from surgery.checkpoints import embedding

    def write(path, shapes, value):
        original(path, shapes, (lambda name: value(name) + np.float32(1e-6)) if "2_Dense" in str(path) else value)

    original = embedding.write_safetensors
    monkeypatch.setattr(embedding, "write_safetensors", write)
    with pytest.raises(surgery.ParityError, match="safetensors: the bits of linear"):
        surgery.checkpoint(source("labse"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "files"),
    [
        ({"pooling": "mean"}, {"modules.json", "1_Pooling/config.json"}),
        ({"drop_pooler": True}, set()),
        ({"pooling": "pooler"}, {"modules.json", "1_Pooling/config.json", "2_Dense/model.safetensors"}),
    ],
)
def test_other_poolings_are_taken_at_their_word(options, files, source, tmp_path):
    done = surgery.checkpoint(source("labse"), tmp_path / "out", **options)
    assert files <= {*done.files}
    assert ("2_Dense/model.safetensors" in done.files) == (options.get("pooling") == "pooler")
    assert done.to_dict()["normalized"] is not options.get("drop_pooler", False)


def test_the_pooled_output_of_any_module_can_be_what_sentence_transformers_returns(source, tmp_path):
    done = surgery.checkpoint(source("expert"), tmp_path / "out", pooling="pooler")
    assert done.to_dict()["embedding"]["normalized"] is False
    assert len(json.loads((tmp_path / "out" / "modules.json").read_text())) == 3
    with pytest.raises(UsageError, match="the checkpoint has no pooler"):
        surgery.checkpoint(source("expert"), tmp_path / "other", pooling="pooler", drop_pooler=True)


def test_texts_in_leallas_graph_give_the_vectors_that_its_export_gives_of_their_tokens(lealla):
    import tensorflow_text  # noqa: F401 (registers the operations of LEALLA's tokenizer)

    texts = ["a word of bo", "z", "\u72ac bo\u0301lo!"]
    module, exported = (tf.saved_model.load(str(folder)) for folder in lealla[:2])
    (ids,) = module.prune("source_raw:0", ["EnsureShape:0"])(tf.constant(texts))
    tokens = {"input_word_ids": ids, "input_mask": tf.cast(ids > 0, tf.int32), "input_type_ids": tf.zeros_like(ids)}
    expected = module.signatures["default"](tf.constant(texts))["default"]
    assert len({*map(bytes, ids.numpy())}) == 3
    np.testing.assert_allclose(exported(tokens)["pooled_output"], expected, atol=1e-6)
    np.testing.assert_allclose(exported(tokens)["default"], expected, atol=1e-6)


def test_leallas_encoder_is_found_under_its_own_scope_with_gelu_in_its_pooler(lealla):
    plan, report = lealla.conversion.plan, lealla.conversion.report
    assert plan.module.scope == "student_"
    shown = plan.architecture.values
    assert (shown["pooler_act"], shown["pooled_l2_norm_eps"], shown["num_hidden_layers"]) == ("gelu_tanh", 1e-12, 5)
    assert surgery.inspect(lealla.export).inference.architecture["pooler_act"] == "gelu_tanh"
    assert plan.head is None
    assert {"pooler_output", "pooled_output"} <= set(report.inner)
    assert max(diff.difference for diff in report.outputs) < 1e-13


def test_leallas_pooler_is_none_that_transformers_has(lealla, tmp_path):
    with pytest.raises(UnexplainedError, match="cannot compute") as caught:
        surgery.checkpoint(lealla.source, tmp_path / "out", assume=RATES, tokenizer=False)
    assert "pooler_act is gelu_tanh" in caught.value.details[0]
    assert "--drop-pooler" in caught.value.hint or "drop_pooler" in caught.value.hint
    done = surgery.checkpoint(lealla.source, tmp_path / "out", assume=RATES, tokenizer=False, drop_pooler=True)
    assert done.planned.form.class_name == "BertModel"


def test_a_tokenizer_in_the_graph_is_not_taken_for_berts(source, tmp_path):
    for write, out in (
        (partial(surgery.convert, text=True), "1"),
        (partial(surgery.checkpoint, drop_pooler=True), "folder"),
    ):
        with pytest.raises(UsageError, match="makes the tokens of its texts in its own graph") as caught:
            write(source("lealla"), tmp_path / out, assume=RATES, lower_case=False)
        assert "vocab='vocab.txt'" in str(caught.value.hint)
    with pytest.raises(UsageError, match="makes the tokens of its texts in its own graph"):
        surgery.preprocess(source("lealla"), tmp_path / "1", lower_case=False)
    assert not list(tmp_path.iterdir())
    vocabulary = next((Path(source("lealla")) / "assets").iterdir())
    plan = surgery.checkpoint(
        source("lealla"), tmp_path / "said", assume=RATES, vocab=vocabulary, lower_case=False, drop_pooler=True
    ).planned
    assert plan.tokenization.file == tmp_path / "said" / "vocab.txt"
    assert plan.tokenization.file.read_bytes() == vocabulary.read_bytes()


def test_the_poolers_of_experts_are_the_identity(source, load, tokens):
    outputs = load("expert")(tokens(vocab=VOCAB))
    np.testing.assert_allclose(outputs["pooled_output"], np.tanh(outputs["sequence_output"][:, 0]), atol=1e-6)


def test_muril_keeps_its_masked_lm_head_and_its_case(converted, load):
    exported = load("muril")
    assert "mlm" in exported.signatures
    assert not bool(exported.do_lower_case.numpy())
    assert "mlm.mlm_logits" in {diff.name for diff in converted("muril").conversion.report.outputs}
