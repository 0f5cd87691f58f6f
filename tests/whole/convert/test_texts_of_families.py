"""Texts for XLM-R, whose ids are not SentencePiece's, and for encoders without token types; what is refused."""

from __future__ import annotations

import json
import shutil
from functools import cache

import numpy as np
import pytest
import tensorflow as tf

import surgery
from scripts.tools.interop.cases import RECORDED
from surgery.errors import ModuleError, UsageError
from surgery.explanation.tokenization import FAIRSEQ, find_tokenization, read_constants
from surgery.jobs.steps import open_export
from surgery.jobs.texts import TRIED, write_texts
from surgery.planning.texts import TEXT_SIGNATURES
from surgery.tf import text_export
from tests.support.editing import inspected

LENGTH = 40


@pytest.fixture(scope="module")
def texts(converted, source, tmp_path_factory):
    """The text export beside the export of a sample by name, loaded, and its folder."""

    @cache
    def make(name):
        module, folder = inspected(source(name)), tmp_path_factory.mktemp(name) / "texts"
        found = find_tokenization(module, read_constants(module))
        write_texts(open_export(converted(name).export), found, LENGTH, 0, folder, folder, packed={}, trust=False)
        return tf.saved_model.load(str(folder)), folder

    return make


def rows(found):
    """The ids of each row without padding."""
    pairs = zip(found["input_word_ids"].numpy(), found["input_mask"].numpy(), strict=True)
    return [ids[mask != 0].tolist() for ids, mask in pairs]


@pytest.mark.parametrize("name", ["hf_xlm_roberta"])
def test_the_ids_of_a_text_are_those_of_transformers(name, texts):
    recorded = json.loads(str(np.load(RECORDED / "xlm_roberta.npz")["ids"]))
    found = texts(name)[0].signatures["text"](text=tf.constant(TRIED))
    # transformers was asked for `max_position_embeddings` tokens, two more than there are positions for.
    assert rows(found) == [ids if len(ids) <= LENGTH else [*ids[: LENGTH - 1], ids[-1]] for ids in recorded]
    assert {*np.unique(found["input_word_ids"].numpy()[found["input_mask"].numpy() == 0])} == {FAIRSEQ.index("<pad>")}
    assert any(FAIRSEQ.index("<unk>") in ids for ids in recorded)


@pytest.mark.parametrize("name", ["hf_xlm_roberta"])
def test_a_pair_of_texts_has_two_separators_and_one_type(name, texts, load):
    run = texts(name)[0].signatures
    one, other = tf.constant(["the tensor", ""]), tf.constant(["a word", "the"])
    alone = [rows(run["text"](text=given)) for given in (one, other)]
    found = run["text_pair"](text=one, text_pair=other)
    separator = FAIRSEQ.index("</s>")
    assert rows(found) == [[*first, separator, *second[1:]] for first, second in zip(*alone, strict=True)]
    tokens = {name: found[name] for name in ("input_word_ids", "input_mask")}
    expected = load(name).signatures["serving_default"](**tokens, input_type_ids=tf.zeros_like(tokens["input_mask"]))
    np.testing.assert_allclose(found["sequence_output"], expected["sequence_output"], atol=1e-6)


@pytest.mark.parametrize("name", ["hf_xlm_roberta"])
def test_a_loaded_export_names_xlm_r_s_tokens(name, texts):
    with surgery.load(texts(name)[1]) as model:
        tokens = model.tokens("the \u2603")
        assert (tokens[0], tokens[-1]) == ("<s>", "</s>")
        assert {"<unk>", "▁the"} <= {*tokens}


@pytest.mark.parametrize("name", ["hf_distilbert"])
def test_an_encoder_without_token_types_gets_none(name, load, source):
    module, encoder = inspected(source(name)), load(name).signatures["serving_default"]
    assert "input_type_ids" not in encoder.structured_input_signature[1]
    packer = text_export.Packer(find_tokenization(module, read_constants(module)), LENGTH)
    found = text_export._text_signature(encoder, packer, TEXT_SIGNATURES)(tf.constant(["the fox"]), tf.constant(["a"]))
    expected = encoder(**{key: found[key] for key in ("input_word_ids", "input_mask")})
    np.testing.assert_allclose(found["sequence_output"], expected["sequence_output"], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        (
            "hf_roberta",
            {},
            UsageError,
            r"byte-level BPE \(vocab.json, merges.txt\), and tensorflow_text has no operation",
        ),
        ("hf_xlm_roberta", {"lower_case": True}, UsageError, "XLM-R's tokenizer takes texts as they are"),
        ("hf_xlm_roberta", {"seq_length": 3}, UsageError, "a pair of texts has 4 special tokens"),
        ("hf_distilbert", {"vocab": "sentencepiece.bpe.model"}, ModuleError, "expected the pieces .*; it has no"),
    ],
)
def test_what_cannot_be_exact_is_refused_before_tensorflow_runs(name, options, error, message, source, tmp_path):
    if "vocab" in options:
        shutil.copy(source("hf_xlm_roberta") / options["vocab"], tmp_path)
        options = {"vocab": tmp_path / options["vocab"], "lower_case": False}
    with pytest.raises(error, match=message):
        surgery.convert(source(name), tmp_path / "out", text=True, **options)


@pytest.mark.parametrize("name", ["hf_distilbert", "hf_roberta", "hf_xlm_roberta"])
def test_a_preprocessor_of_another_form_than_the_encoder_s_is_refused(name, source, tmp_path):
    with pytest.raises(UsageError, match=r"input_type_ids too|byte-level BPE|no XLM-R tokenizer"):
        surgery.preprocess(source(name), tmp_path / "out")


def test_a_vocabulary_whose_padding_is_another_is_refused(source, tmp_path):
    vocabulary = tmp_path / "vocab.txt"
    vocabulary.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]"]))
    with pytest.raises(ModuleError, match="padding has the id 0, and the encoder counts positions from 1"):
        surgery.convert(source("hf_roberta"), tmp_path / "out", text=True, vocab=vocabulary, lower_case=True)
