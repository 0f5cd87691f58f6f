"""Which requests share a run, with models made of numpy: no server, no TensorFlow."""

from __future__ import annotations

import re

import numpy as np
import pytest

from surgery.batching.probing import Tensor, learn_layout, prove
from surgery.batching.sharing import Layout, check_rows, group, join, split, split_texts, without_batch
from surgery.errors import UsageError

INT = np.dtype(np.int32)
FLOAT = np.dtype(np.float32)
TEXT = np.dtype(object)
TOKENS = ("input_word_ids", "input_mask", "input_type_ids")
TOKEN_INPUTS = {key: Tensor(dtype=INT, shape=(None, None)) for key in TOKENS}
TOKEN_OUTPUTS = {
    "states": Tensor(dtype=FLOAT, shape=(None, None, 2)),
    "maps": Tensor(dtype=FLOAT, shape=(None, 3, None, None)),
}
PADDED = Layout(padded=frozenset(TOKENS), sequence_axes={"states": (1,), "maps": (2, 3)})


def attention(request, heeds_mask=True):
    """The outputs of a little attention: shares by head and query, and what each position gets of all."""
    ids = request["input_word_ids"].astype(np.float64) + request["input_type_ids"]
    mask = request["input_mask"] if heeds_mask else np.ones_like(ids)
    logits = np.stack([ids[:, :, None] * ids[:, None] * scale for scale in (0.1, 0.2, 0.3)], 1)
    logits = logits - 10000.0 * (1 - mask[:, None, None])
    shares = np.exp(logits - logits.max(-1, keepdims=True))
    shares /= shares.sum(-1, keepdims=True)
    states = np.einsum("bhqk,bk->bqh", shares, ids)[..., :2]
    return {"states": states.astype(np.float32), "maps": shares.astype(np.float32)}


def request(length, rows=1, seed=0, mask=None):
    random = np.random.default_rng([length, rows, seed])
    return {
        "input_word_ids": random.integers(1, 9, (rows, length), INT),
        "input_mask": np.ones((rows, length), INT) if mask is None else np.array(mask, INT),
        "input_type_ids": random.integers(0, 2, (rows, length), INT),
    }


def answer(requests, layout, model=attention):
    answers = [None] * len(requests)
    for numbers in group(requests, layout):
        some = [requests[number] for number in numbers]
        for number, found in zip(numbers, split(model(join(some, layout)), some, layout), strict=True):
            answers[number] = found
    return answers


def test_answers_of_mixed_lengths_are_those_that_each_request_gets_alone():
    requests = [
        request(3),
        request(11, rows=3),
        request(40),
        request(1, rows=2),
        request(33, rows=2),
        request(5, mask=[[1, 0, 1, 0, 0]]),
        request(5, rows=2, mask=[[1, 1, 1, 1, 0], [0, 0, 0, 0, 0]]),
        request(16),
    ]
    for alone, found in zip(map(attention, requests), answer(requests, PADDED), strict=True):
        for key, value in alone.items():
            assert found[key].shape == value.shape
            np.testing.assert_allclose(found[key], value, atol=1e-6)


def test_lengths_of_one_bucket_share_a_run_and_every_request_is_in_one():
    requests = [request(length) for length in (3, 16, 17, 32, 33, 1, 64, 65)]
    assert group(requests, PADDED) == [[0, 1, 5], [2, 3], [4, 6], [7]]


def test_a_row_that_is_nothing_but_padding_is_never_padded_further():
    empty = request(5, mask=[[0] * 5])
    assert group([request(5), empty, request(4), empty], PADDED) == [[0, 2], [1, 3]]
    negative = request(5, mask=[[0, -1, 0, 0, 0]])
    assert group([request(5), negative], PADDED) == [[0], [1]]


def test_a_request_whose_inputs_disagree_runs_alone():
    wrong = {**request(5), "input_type_ids": np.zeros((1, 4), INT)}
    other_rows = {**request(5), "input_mask": np.ones((2, 5), INT)}
    assert group([request(5), wrong, request(5), other_rows], PADDED) == [[0, 2], [1], [3]]


def test_inputs_that_are_not_berts_keep_requests_of_other_shapes_apart():
    requests = [{**request(5), "positions": np.zeros((1, count), INT)} for count in (2, 3, 2)]
    assert group(requests, PADDED) == [[0, 2], [1]]
    images = [{"image": np.zeros((1, size, 4))} for size in (5, 6, 5)]
    assert group(images, Layout()) == [[0, 2], [1]]
    assert group(images, Layout(alone=True)) == [[0], [1], [2]]


def test_the_axes_that_follow_the_sequence_are_found_by_running_the_model():
    layout, said = learn_layout(TOKEN_INPUTS, TOKEN_OUTPUTS, attention)
    assert layout == PADDED
    assert "padded to the longest" in said


def test_a_model_that_does_not_heed_its_mask_is_never_padded():
    layout, said = learn_layout(TOKEN_INPUTS, TOKEN_OUTPUTS, lambda inputs: attention(inputs, heeds_mask=False))
    assert layout == Layout()
    assert "changes when a longer request joins" in said
    assert group([request(3), request(4), request(3)], layout) == [[0, 2], [1]]


def test_a_model_that_fails_on_inputs_that_were_made_up_is_never_padded():
    def fails(inputs):
        raise RuntimeError

    layout, said = learn_layout(TOKEN_INPUTS, TOKEN_OUTPUTS, fails)
    assert layout == Layout()
    assert "RuntimeError" in said


@pytest.mark.parametrize("without", ["input_mask", "input_word_ids"])
def test_without_a_mask_or_ids_nothing_is_padded(without):
    inputs = {key: tensor for key, tensor in TOKEN_INPUTS.items() if key != without}
    assert learn_layout(inputs, TOKEN_OUTPUTS, attention)[0] == Layout()


def tokenized(inputs):
    """Words as numbers, padded to the longest text: [CLS] word word … [SEP]."""
    words = [[1, *(2 + len(word) for word in text.split()), 1] for text in inputs["text"]]
    longest = max(map(len, words))
    made = {
        "input_word_ids": np.array([row + [0] * (longest - len(row)) for row in words], INT),
        "input_mask": np.array([[1] * len(row) + [0] * (longest - len(row)) for row in words], INT),
    }
    return {**made, **attention({**made, "input_type_ids": np.zeros_like(made["input_mask"])})}


def test_answers_to_texts_are_as_long_as_the_longest_text_of_their_own_request():
    inputs = {"text": Tensor(dtype=TEXT, shape=(None,))}
    outputs = {
        **TOKEN_OUTPUTS,
        **{key: Tensor(dtype=INT, shape=(None, None)) for key in ("input_mask", "input_word_ids")},
    }
    layout, _ = learn_layout(inputs, outputs, tokenized)
    assert layout.mask_output == "input_mask"
    texts = ([b"a bb", b"c"], [b"a b c d e ff"], [b""])
    requests = [{"text": np.array(some, object)} for some in texts]
    assert group(requests, layout) == [[0, 1, 2]]
    for alone, found in zip(map(tokenized, requests), answer(requests, layout, tokenized), strict=True):
        for key, value in alone.items():
            assert found[key].shape == value.shape
            np.testing.assert_allclose(found[key], value, atol=1e-6)


def test_texts_whose_answers_cannot_be_cut_run_alone():
    inputs = {"text": Tensor(dtype=TEXT, shape=(None,))}
    pieces = {"pieces": Tensor(dtype=TEXT, shape=(None, None))}
    assert learn_layout(inputs, pieces, tokenized)[0].alone
    assert not learn_layout(inputs, {"score": Tensor(dtype=FLOAT, shape=(None,))}, tokenized)[0].alone


def test_an_output_whose_first_axis_is_not_the_batch_is_refused_rather_than_handed_out():
    requests = [request(3), request(3, seed=1)]
    with pytest.raises(ValueError, match=r"output total has the shape \(\) for a batch of 2 rows"):
        split({"total": np.array(1.0)}, requests, Layout())


def test_without_buckets_all_lengths_share_a_run_but_rows_that_are_nothing_but_padding():
    requests = [request(3), request(40), request(5, mask=[[0] * 5]), request(65)]
    assert group(requests, PADDED, buckets=False) == [[0, 1, 3], [2]]


def test_padding_is_proven_with_any_two_requests_and_names_the_output_that_changes():
    layout = Layout(padded=frozenset(TOKENS))
    assert prove(layout, request(4), request(9, rows=2), attention) == (PADDED, "")
    proven, difference = prove(layout, request(4), request(9), lambda inputs: attention(inputs, heeds_mask=False))
    assert proven is None
    assert re.fullmatch("(states|maps) changes when a longer request joins", difference)
    with pytest.raises(KeyError):  # what a model says of real requests is the caller's to know
        prove(layout, request(4), request(9), lambda inputs: inputs["nothing"])


def test_the_rows_of_texts_are_cut_to_their_own_tokens_along_free_axes_only():
    mask = np.array([[1, 1, 1, 0], [1, 0, 0, 0]], INT)
    outputs = {
        "input_mask": mask,
        "states": np.arange(2 * 4 * 4).reshape(2, 4, 4),
        "maps": np.ones((2, 4, 4, 4)),
        "score": np.array([1.0, 2.0]),
        "other": np.ones((2, 3)),
    }
    shapes = {
        "input_mask": (None, None),
        "states": (None, None, 4),
        "maps": (None, 4, None, None),
        "score": (None,),
        "other": None,
    }
    first, second = split_texts(outputs, shapes)
    assert {key: value.shape for key, value in first.items()} == {
        "input_mask": (3,),
        "states": (3, 4),
        "maps": (4, 3, 3),
        "score": (),
        "other": (3,),
    }
    assert np.array_equal(second["states"], outputs["states"][1, :1])
    assert second["score"] == 2.0
    without = {key: shape for key, shape in shapes.items() if key != "input_mask"}
    assert split_texts({key: outputs[key] for key in without}, without)[1]["states"].shape == (4, 4)


def test_an_output_whose_first_axis_is_not_the_batch_is_not_cut_into_rows():
    outputs = {"pooled": (None, 8), "names": (3,), "table": (100, 8), "loss": (), "one": (1, 8), "unknown": None}
    assert without_batch(outputs, [(None,), (None, None)]) == ["names", "table", "loss", "one"]
    assert without_batch(outputs, [(1, None)]) == ["names", "table", "loss"]
    assert without_batch(outputs, [None]) == ["names", "table", "loss", "one"]


@pytest.mark.parametrize("shape", [(), (2, 8), (4,)])
def test_a_run_that_returns_more_or_fewer_rows_than_it_got_is_refused(shape):
    check_rows({"pooled": np.zeros((3, 8)), "score": np.zeros(3)}, 3)
    with pytest.raises(UsageError, match=r"output other has the shape .* for a batch of 3"):
        check_rows({"pooled": np.zeros((3, 8)), "other": np.zeros(shape)}, 3)
