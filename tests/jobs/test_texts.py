"""Texts in and out, as far as no TensorFlow is needed: lengths, tokens, and the outputs of no text."""

from __future__ import annotations

import numpy as np
import pytest

import surgery
from surgery.jobs.loaded_export import LoadedExport
from surgery.jobs.text_runner import joined
from surgery.module import TensorInfo
from surgery.planning.texts import encoder_beside
from tests.support.synthetic import CNN, write_saved_model


@pytest.mark.parametrize("length", [0, 2, -1])
def test_a_preprocessor_of_a_module_without_an_encoder_has_room_for_a_token(length, tmp_path):
    module = write_saved_model(tmp_path / "module", CNN)
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n")
    options = {"vocab": tmp_path / "vocab.txt", "lower_case": True, "seq_length": length}
    with pytest.raises(surgery.UsageError, match=f"seq_length={length}: expected 3 or more"):
        surgery.preprocess(module, tmp_path / "out", **options)


@pytest.mark.parametrize(
    ("dtype", "expected"), [("string", "object"), ("bfloat16", "bfloat16"), ("float32", "float32")]
)
def test_no_texts_have_outputs_of_their_dtype(dtype, expected):
    found = joined([], TensorInfo(key="x", dtype=dtype, shape=(None, None, 4)))
    assert (found.shape, found.dtype.name) == ((0, 0, 4), expected)


def test_an_id_that_the_vocabulary_lacks_is_no_token():
    loaded = object.__new__(LoadedExport)
    loaded._name, loaded._vocabulary = "small", ["[PAD]", "a"]
    assert loaded._pieces(np.array([1, 0])) == ["a", "[PAD]"]
    with pytest.raises(surgery.ModuleError, match="of 2 tokens, found the id 2"):
        loaded._pieces(np.array([0, 2]))


def test_the_encoder_of_a_text_export_lies_beside_it_and_is_never_the_text_export_itself(tmp_path):
    for name in ("bert/1", "bert_text/1", "texts/1"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "saved_model.pb").touch()
    assert encoder_beside(tmp_path / "bert_text" / "1") == tmp_path / "bert" / "1"
    assert encoder_beside(tmp_path / "texts" / "1") is None
