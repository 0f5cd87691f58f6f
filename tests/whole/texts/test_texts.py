"""Strings in: the text export beside the tensor export, and the preprocessor of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

import surgery
from surgery.explanation.tokenization import find_tokenization, read_constants
from surgery.export import publish as publishing
from surgery.tf import text_export
from tests.support.builders.common import PACKED, vocab_tokens
from tests.support.editing import inspected
from tests.support.tampering import contents

pytestmark = pytest.mark.usefixtures("short_battery")

NAME = "g3_small"
ARCHIVE = PACKED / f"{NAME}.tar.gz"


def _vocabulary():
    with tarfile.open(ARCHIVE) as tar:
        member = next(m for m in tar.getmembers() if m.name.endswith("assets/vocab.txt"))
        return tar.extractfile(member).read().decode().splitlines()


WORDS = {token: number for number, token in enumerate(_vocabulary())}


@pytest.fixture(scope="module")
def written(text_exports):
    """The tensor export and the text export of the sample."""
    return text_exports(NAME)


@pytest.fixture(scope="module")
def text_model(written):
    return tf.saved_model.load(str(written[1]))


def ids(text_model, *texts):
    found = text_model.signatures["text"](text=tf.constant(list(texts), tf.string))
    return [
        row[mask != 0].tolist()
        for row, mask in zip(*(found[k].numpy() for k in ("input_word_ids", "input_mask")), strict=True)
    ]


def tokens(text_model, text):
    names = {number: token for token, number in WORDS.items()}
    (row,) = ids(text_model, text)
    return [names[number] for number in row[1:-1]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b", ["a", "b"]),
        ("TIMES", ["time", "##s"]),  # lower-cased, and a word in pieces
        ("\u00e4 \u00c9", ["a", "e"]),  # accents go with the case
        ("a.b!", ["a", ".", "b", "!"]),  # punctuation stands alone
        ("a\u4e2db", ["a", "\u4e2d", "b"]),  # each CJK character is a word
        ("a\x00\u200b b", ["a", "b"]),  # control characters vanish
        ("\ud7ff", ["[UNK]"]),
        ("", []),
    ],
)
def test_texts_become_the_tokens_that_the_original_tokenizer_documents(text, expected, text_model):
    assert tokens(text_model, text) == expected


def test_a_batch_is_as_long_as_its_longest_text_and_padding_is_masked(text_model):
    found = text_model.signatures["text"](text=tf.constant(["a b c d", "", "a"]))
    assert found["input_word_ids"].shape == (3, 6)
    assert found["input_mask"].numpy().sum(1).tolist() == [6, 2, 3]
    assert found["sequence_output"].shape == (3, 6, 48)


def test_a_long_text_is_cut_at_the_limit_and_still_ends_in_its_separator(text_model):
    (row,) = ids(text_model, "a " * 50)
    assert len(row) == 24
    assert (row[0], row[-1]) == (WORDS["[CLS]"], WORDS["[SEP]"])


def test_an_empty_batch_gives_empty_outputs(text_model):
    found = text_model.signatures["text"](text=tf.constant([], tf.string))
    assert found["pooled_output"].shape == (0, 48)
    assert found["input_word_ids"].shape[0] == 0


def test_a_pair_is_cut_fairly_between_the_two(text_model):
    run = text_model.signatures["text_pair"]
    found = run(text=tf.constant(["a " * 40]), text_pair=tf.constant(["b " * 40]))
    row = found["input_word_ids"].numpy()[0].tolist()
    assert len(row) == 24
    assert abs(row.count(WORDS["a"]) - row.count(WORDS["b"])) <= 1
    short = run(text=tf.constant(["a"]), text_pair=tf.constant(["b " * 40]))["input_word_ids"].numpy()[0].tolist()
    assert (short.count(WORDS["a"]), short.count(WORDS["b"])) == (1, 20)


def test_the_outputs_are_those_of_the_tensor_export_for_these_tokens(written, text_model):
    texts = tf.constant(["a b c", "bada fa!"])
    found = text_model.signatures["text"](text=texts)
    encoder = tf.saved_model.load(str(written[0])).signatures["serving_default"]
    ids = found["input_word_ids"]
    expected = encoder(input_word_ids=ids, input_mask=found["input_mask"], input_type_ids=tf.zeros_like(ids))
    assert set(found) == {*expected, "input_word_ids", "input_mask"}
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=1e-6)


def test_other_signatures_take_text_as_well(written, text_model):
    """Taps, features, depths, and one that leaves padding out."""
    texts = tf.constant(["a b c", "bada fa!", ""])
    encoder = tf.saved_model.load(str(written[0])).signatures
    others = ("taps", "mean", "depth_2", "cls")
    assert set(text_model.signatures) == {"text", "text_pair", "serving_default", *(f"{name}_text" for name in others)}
    for name in others:
        found = text_model.signatures[f"{name}_text"](text=texts)
        ids = found["input_word_ids"]
        expected = encoder[name](input_word_ids=ids, input_mask=found["input_mask"], input_type_ids=tf.zeros_like(ids))
        assert set(found) == {*expected, "input_word_ids", "input_mask"}
        for output, value in expected.items():
            np.testing.assert_allclose(found[output], value, atol=1e-6)


LOADS = """
import sys, tensorflow as tf
for folder in sys.argv[1:]:
    tf.saved_model.load(folder)
    print(folder)
"""


def test_the_tensor_export_loads_where_tensorflow_text_is_not_registered(written):
    tensors, texts = map(str, written)
    done = subprocess.run([sys.executable, "-c", LOADS, tensors, texts], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, f"{tensors}\n"), done.stderr[-500:]
    assert "Op type not registered" in done.stderr


def test_the_preprocessor_has_the_api_of_tf_hubs(source, tmp_path):
    done = surgery.preprocess(source(NAME), tmp_path / "out" / "1", seq_length=12)
    shutil.move(tmp_path / "out", tmp_path / "moved")
    loaded = tf.saved_model.load(str(tmp_path / "moved" / "1"))
    texts = tf.constant(["a b", ""])
    packed = loaded(texts)
    assert {name: tuple(value.shape) for name, value in packed.items()} == dict.fromkeys(
        ("input_word_ids", "input_mask", "input_type_ids"), (2, 12)
    )
    pieces = loaded.tokenize(texts)
    longer = loaded.bert_pack_inputs([pieces, pieces], seq_length=20)
    assert longer["input_type_ids"].numpy()[0].tolist()[:8] == [0, 0, 0, 0, 1, 1, 1, 0]
    special = {name: value.numpy() for name, value in loaded.tokenize.get_special_tokens_dict().items()}
    assert special["start_of_sequence_id"] == WORDS["[CLS]"]
    assert (done.tokenization.lower_case, done.length) == (True, 12)


def test_a_sentencepiece_module_has_both(text_exports, source, tmp_path):
    loaded = tf.saved_model.load(str(text_exports("tf1_albert_small")[1]))
    assert loaded.signatures["text"](text=tf.constant(["Hello world"]))["input_mask"].numpy().min() == 1
    assert surgery.preprocess(source("tf1_albert_small"), tmp_path / "pre" / "1").tokenization.pieces


def test_a_module_without_a_vocabulary_names_the_option_before_tensorflow(source, tmp_path):
    steps = []
    with pytest.raises(surgery.UsageError, match="vocab=") as caught:
        surgery.convert(
            source("no_vocab"), tmp_path / "out" / "1", text=True, progress=lambda step, *_: steps.append(step)
        )
    assert "expected the asset vocab_file" in str(caught.value)
    assert "start TensorFlow" not in steps
    assert not (tmp_path / "out").exists()


def test_what_is_supplied_is_used_and_checked(source, tmp_path, monkeypatch):
    used = []

    def write(tokenization, length, folder):
        used.append((tokenization.file, tokenization.lower_case))
        raise surgery.WriteError("writing no further")

    monkeypatch.setattr(text_export, "write_preprocessor", write)
    vocabulary = tmp_path / "vocab.txt"
    vocabulary.write_text("\n".join(vocab_tokens(300)) + "\n", encoding="utf-8")
    with pytest.raises(surgery.WriteError, match="no further"):
        surgery.preprocess(source("no_vocab"), tmp_path / "out" / "1", vocab=vocabulary, lower_case=False)
    assert used == [(vocabulary, False)]
    vocabulary.write_text("\n".join(vocab_tokens(5000)) + "\n", encoding="utf-8")
    with pytest.raises(surgery.ModuleError, match="it has 5000 tokens"):
        surgery.preprocess(source("no_vocab"), tmp_path / "more" / "1", vocab=vocabulary, lower_case=False)
    with pytest.raises(surgery.UsageError, match="expected 3 to"):
        surgery.preprocess(source(NAME), tmp_path / "more" / "1", seq_length=4000)


def assert_batches_do_not_matter(run):
    texts = ["a b c", "", "a " * 40, "d e f g h"]
    together = run(text=tf.constant(texts))
    for index, text in enumerate(texts):
        alone = run(text=tf.constant([text]))
        own = alone["input_mask"].shape[1]
        length = int(alone["input_mask"].numpy().sum())
        for output, value in alone.items():
            cut = tuple(slice(length if size == own else None) for size in value.shape[1:])
            found, expected = together[output][index].numpy()[cut], value[0].numpy()[cut]
            np.testing.assert_allclose(found, expected, atol=5e-6, err_msg=f"{output} of {text!r}")


def test_what_a_text_gives_does_not_hang_on_what_it_is_batched_with(source, tmp_path):
    """MobileBERT's embedding looks at the next token, padding or none: a masked one is always there."""
    done = surgery.convert(source("g4_mobilebert"), tmp_path / "out" / "1", text=True, seq_length=12)
    assert_batches_do_not_matter(tf.saved_model.load(str(done.text_destination)).signatures["text"])


def test_talking_heads_do_not_look_at_padding(source, load):
    module = inspected(source("g4_talkheads"))
    packer = text_export.Packer(find_tokenization(module, read_constants(module)), 12)
    encoder = load("g4_talkheads").signatures["serving_default"]
    run = text_export._text_signature(encoder, packer, ("text",))
    assert_batches_do_not_matter(lambda text: run(text))


def old_exports(*folders):
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "saved_model.pb").write_bytes(b"the old one")


@pytest.mark.usefixtures("uncompared_texts")
def test_where_the_text_export_cannot_be_published_the_tensor_export_is_not_either(source, tmp_path):
    def intrude(step, done, total):
        if step == "publish":
            old_exports(tmp_path / "out_text" / "1")

    with pytest.raises(surgery.WriteError, match=r"publishing .*out_text"):
        surgery.convert(source(NAME), tmp_path / "out" / "1", text=True, progress=intrude)
    assert not (tmp_path / "out").exists()
    assert contents(tmp_path / "out_text") == {"1/saved_model.pb": b"the old one"}


@pytest.mark.usefixtures("uncompared_texts")
def test_where_one_of_two_exports_cannot_be_replaced_both_old_ones_stay(source, tmp_path, monkeypatch):
    tensors, texts = tmp_path / "out" / "1", tmp_path / "out_text" / "1"
    old_exports(tensors, texts)
    exchange = publishing._exchange

    def refuse(staged, destination):
        if destination == texts:
            raise OSError(28, os.strerror(28), str(destination))
        exchange(staged, destination)

    monkeypatch.setattr(publishing, "_exchange", refuse)
    with pytest.raises(surgery.WriteError, match="No space left"):
        surgery.convert(source(NAME), tensors, text=True, overwrite=True)
    for folder in (tmp_path / "out", tmp_path / "out_text"):
        assert contents(folder) == {"1/saved_model.pb": b"the old one"}


def test_a_text_export_that_tokenizes_otherwise_is_not_published(source, tmp_path, monkeypatch):
    right = text_export.write_text_model

    def cased(encoder, tokenization, *others):
        return right(encoder, replace(tokenization, lower_case=False), *others)

    monkeypatch.setattr(text_export, "write_text_model", cased)
    with pytest.raises(surgery.ParityError, match="signature text: input_word_ids is not"):
        surgery.convert(source(NAME), tmp_path / "out" / "1", text=True)
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out_text").exists()
