"""`surgery.load`: texts to arrays, tokens and attention maps, against the signatures run by TensorFlow itself."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

import surgery
from surgery.errors import UsageError
from surgery.jobs import text_runner
from tests.support import documents
from tests.support.hostile import hostile_copy

TEXTS = ["one of the two", "", "the time and the day, and two or three times more of it " * 3, "a", "one"]


@pytest.fixture(scope="module")
def exports(text_exports):
    return text_exports("g3_small")


@pytest.fixture(scope="module")
def model(exports):
    with surgery.load(os.path.relpath(exports[1])) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def tensors(exports):
    """The tensor export beside it."""
    with surgery.load(exports[0]) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def call(exports):
    """The tensor export's signature, as TensorFlow runs it."""
    return tf.saved_model.load(str(exports[0])).signatures["serving_default"]


@pytest.fixture(scope="module")
def run(exports):
    """Runs a signature on one text, or one pair, as TensorFlow does: no batch, no padding."""
    signatures = tf.saved_model.load(str(exports[1])).signatures

    def one(signature, *texts):
        given = dict(zip(("text", "text_pair"), (tf.constant([text]) for text in texts), strict=False))
        return {name: value.numpy()[0] for name, value in signatures[signature](**given).items()}

    return one


def test_outputs_are_those_of_each_text_alone_in_the_order_of_the_texts(model, run):
    wanted = ["pooled_output", "encoder_outputs_1", "attention_probs_2"]
    ticks = []
    found = model.encode(TEXTS, outputs=wanted, batch_tokens=30, progress=lambda *tick: ticks.append(tick))
    assert list(found) == [*wanted, "input_mask"]
    assert ticks == [("encode", done, 5) for done in range(6)]
    longest = found["input_mask"].shape[1]
    assert longest == model.seq_length == 24
    assert found["encoder_outputs_1"].shape == (5, 24, 48)
    for number, text in enumerate(TEXTS):
        alone = {**run("text", text), **run("taps_text", text)}
        length = len(alone["input_mask"])
        assert found["input_mask"][number].tolist() == [1] * length + [0] * (longest - length)
        np.testing.assert_allclose(found["pooled_output"][number], alone["pooled_output"], atol=2e-6)
        np.testing.assert_allclose(found["encoder_outputs_1"][number][:length], alone["encoder_outputs_1"], atol=2e-6)
        assert not found["encoder_outputs_1"][number][length:].any()
        maps = found["attention_probs_2"][number]
        np.testing.assert_allclose(maps[:, :length, :length], alone["attention_probs_2"], atol=2e-6)
        assert not maps[:, length:].any()
        assert not maps[:, :, length:].any()


def test_one_text_is_a_batch_of_one_and_no_text_is_none(model):
    assert model.encode("one")["pooled_output"].shape == (1, 48)
    nothing = model.encode([], outputs=["pooled_output", "encoder_outputs_0"])
    assert {name: value.shape for name, value in nothing.items()} == {
        "pooled_output": (0, 48),
        "encoder_outputs_0": (0, 0, 48),
        "input_mask": (0, 0),
    }


def test_pairs_run_the_signature_of_pairs(model, run):
    found = model.encode([("one", "two"), ("three", "one two")])
    np.testing.assert_allclose(
        found["pooled_output"][1], run("text_pair", "three", "one two")["pooled_output"], atol=2e-6
    )
    assert model.tokens(("one", "two")) == ["[CLS]", "one", "[SEP]", "two", "[SEP]"]
    assert model.tokens([("one", "two")]) == [["[CLS]", "one", "[SEP]", "two", "[SEP]"]]


def test_an_encoder_of_fewer_blocks_is_run_by_its_name(model, run):
    found = model.encode("one", outputs="sequence_output", signature="depth_2_text")["sequence_output"][0]
    np.testing.assert_allclose(found, run("depth_2_text", "one")["sequence_output"], atol=2e-6)
    whole = model.encode("one", outputs="sequence_output")["sequence_output"][0]
    np.testing.assert_allclose(whole, run("text", "one")["sequence_output"], atol=2e-6)
    assert np.abs(whole - found).max() > 0.1


def test_tokens_are_the_pieces_that_the_encoder_sees(model):
    assert model.tokens("One of TIMES!") == ["[CLS]", "one", "of", "time", "##s", "!", "[SEP]"]
    cut = model.tokens(TEXTS)[2]
    assert (len(cut), cut[-1]) == (24, "[SEP]")


def test_attention_has_the_maps_of_every_block_with_the_tokens(model, run):
    found = model.attention("one of two")
    assert found.tokens == ("[CLS]", "one", "of", "two", "[SEP]")
    assert found.blocks == (0, 1, 2, 3)
    expected = run("taps_text", "one of two")
    for block in found.blocks:
        np.testing.assert_allclose(found.block(block), expected[f"attention_probs_{block}"], atol=2e-6)
    with pytest.raises(UsageError, match="for pairs of texts"):
        model.attention(("one", "two"))


def test_similarity_is_the_mean_cosine_of_all_tokens(model, run):
    found = model.similarity(TEXTS, batch_tokens=30)
    assert found.names == ("embedding_output", *(f"encoder_outputs_{block}" for block in range(4)))
    rows = [run("text", text) for text in TEXTS]
    vectors = [np.concatenate([row[name] for row in rows]).astype(np.float64) for name in found.names]
    units = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in vectors]
    expected = [[float((a * b).sum(1).mean()) for b in units] for a in units]
    np.testing.assert_allclose(found.cosines, expected, atol=1e-6)
    assert found.cosines.min() < 0.99
    assert found.tokens == len(units[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"texts": ["a", ("b", "c")]}, "texts=.*texts, or pairs"),
        ({"texts": ["a", b"b"]}, "texts=.*number 1 is bytes"),
        ({"texts": None}, "texts=.*NoneType"),
        ({"texts": "a", "outputs": "poled_output"}, "did you mean pooled_output"),
        ({"texts": "a", "outputs": "nothing"}, "it has embedding_output"),
        ({"texts": "a", "signature": "tokens"}, "signature='tokens'.*\n.*it has text, "),
        ({"texts": "a", "batch_tokens": 0}, "batch_tokens=0"),
    ],
)
def test_mistakes_name_the_argument(arguments, message, model):
    with pytest.raises(UsageError, match=message) as caught:
        model.encode(**arguments)
    assert "--" not in str(caught.value)


def test_what_is_no_text_export_says_what_is(exports, tensors, modules, tmp_path):
    for ask in ("encode", "tokens", "attention", "similarity"):
        with pytest.raises(UsageError, match=f"its text export takes them: {exports[1]}"):
            getattr(tensors, ask)(["one", "two"])
    with pytest.raises(UsageError, match="text=True"):
        surgery.load(modules("tf1_bert_small"))
    shutil.copytree(exports[1], tmp_path / "copy")
    (tmp_path / "copy" / "assets.extra" / "surgery.json").unlink()
    with surgery.load(tmp_path / "copy") as without, pytest.raises(surgery.ModuleError, match="its vocabulary"):
        without.tokens("a")
    with pytest.raises(UsageError, match="it is closed"):
        without.encode("a")


def test_verify_leads_from_a_text_export_to_the_export_of_its_encoder(exports, modules, monkeypatch):
    monkeypatch.chdir(exports[1])
    with pytest.raises(UsageError, match=f"found a text export\n  what to do: .*{exports[0]}$"):
        surgery.verify(modules("g3_small"), ".")


def test_an_export_that_could_do_more_is_refused_and_never_run(exports, tmp_path):
    unclean = hostile_copy(exports[1], tmp_path / "unclean", tmp_path / "marker")
    with pytest.raises(surgery.UntrustedError, match="trust=True"):
        surgery.load(unclean)
    assert not (tmp_path / "marker").exists()


def test_an_export_in_an_archive_stays_loaded_when_its_files_are_gone(exports, tmp_path):
    with surgery.load(shutil.make_archive(str(tmp_path / "packed"), "gztar", exports[1])) as packed:
        assert packed.tokens("one") == ["[CLS]", "one", "[SEP]"]


def test_its_manifest_is_described(exports):
    manifest = json.loads((exports[1] / "assets.extra" / "surgery.json").read_text())
    assert documents.difference("text manifest", [manifest]) == (set(), set())


def test_many_texts_give_the_same_numbers(model, monkeypatch):
    """They run in another session, which computes no more than what is wanted."""
    before = model.encode(TEXTS, outputs="encoder_outputs_0")
    monkeypatch.setattr(text_runner, "FEW", 3)
    monkeypatch.chdir("/")
    after = model.encode(TEXTS, outputs="encoder_outputs_0")
    np.testing.assert_allclose(after["encoder_outputs_0"], before["encoder_outputs_0"], atol=2e-6)


IDS = np.array([[2, 6, 7, 3], [2, 9, 3, 0], [2, 3, 0, 0]])
MASK = (IDS != 0).astype(np.int64)
TYPES = np.array([[0, 0, 1, 1], [0, 1, 1, 0], [0, 0, 0, 0]])


@pytest.mark.parametrize(
    ("given", "keywords", "types"),
    [
        (IDS, {}, 0 * IDS),
        ([IDS, MASK], {}, 0 * IDS),
        ([IDS, MASK, TYPES], {}, TYPES),
        ({"input_ids": IDS, "attention_mask": MASK, "token_type_ids": TYPES}, {}, TYPES),
        (None, {"input_ids": IDS, "segment_ids": TYPES}, TYPES),
        ({"input_word_ids": IDS.tolist(), "input_mask": MASK.tolist(), "input_type_ids": TYPES.tolist()}, {}, TYPES),
    ],
    ids=["ids", "list of two", "list of three", "hugging face", "keywords", "hub"],
)
def test_tokens_are_taken_in_every_form(given, keywords, types, tensors, call):
    found = tensors.encode(given, outputs=["pooled_output", "encoder_outputs_1"], batch_tokens=8, **keywords)
    inputs = {"input_word_ids": IDS, "input_mask": MASK, "input_type_ids": types}
    expected = call(**{name: tf.constant(value, tf.int32) for name, value in inputs.items()})
    assert list(found) == ["pooled_output", "encoder_outputs_1"]
    for name, value in found.items():
        np.testing.assert_allclose(value, expected[name], atol=2e-6)


def test_wrong_tokens_are_named_by_their_row(tensors, model):
    wrong = MASK.copy()
    wrong[2, 1] = 2
    with pytest.raises(UsageError, match="input_mask, row 2, position 1"):
        tensors.encode([IDS, wrong], batch_tokens=4)
    with pytest.raises(UsageError, match="it takes texts, found input_ids"):
        model.encode(input_ids=IDS)
    with pytest.raises(UsageError, match=r"texts=.*dict"):
        model.encode({"input_ids": IDS})
