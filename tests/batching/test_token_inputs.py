"""The tokens of a batch in every form that people pass them: no framework is needed to find out which is which."""

from __future__ import annotations

from collections import UserDict

import numpy as np
import pytest

from surgery.batching.token_arrays import token_arrays
from surgery.batching.token_inputs import completed, named
from surgery.errors import UsageError

IDS = np.array([[101, 7, 102, 0], [101, 9, 9, 102]], np.int64)
MASK = np.array([[1, 1, 1, 0], [1, 1, 0, 1]], np.int64)
TYPES = np.array([[0, 0, 1, 0], [0, 1, 1, 1]], np.int64)
ALL = {"input_word_ids": IDS, "input_mask": MASK, "input_type_ids": TYPES}


def same(found, expected):
    assert list(found) == list(expected)
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])


@pytest.mark.parametrize(
    ("given", "keywords"),
    [
        ([IDS, MASK, TYPES], {}),
        ((IDS, MASK, TYPES), {}),
        (ALL, {}),
        ({"input_ids": IDS, "attention_mask": MASK, "token_type_ids": TYPES}, {}),
        (UserDict(token_type_ids=TYPES, attention_mask=MASK, input_ids=IDS), {}),
        ({"input_ids": IDS, "input_mask": MASK, "segment_ids": TYPES}, {}),
        (IDS, {"attention_mask": MASK, "token_type_ids": TYPES}),
        (None, {"input_word_ids": IDS, "padding_mask": MASK, "type_ids": TYPES}),
    ],
)
def test_every_form_gives_the_same_inputs(given, keywords):
    same(named(given, keywords), ALL)


@pytest.mark.parametrize("given", [IDS, [IDS], {"input_ids": IDS, "attention_mask": None}])
def test_ids_alone_are_completed_by_the_mask_of_what_is_not_padding_and_by_one_token_type(given):
    found = completed(named(given), lambda x, dtype: np.asarray(x).astype(dtype))
    same(found, {"input_word_ids": IDS, "input_mask": [[1, 1, 1, 0], [1, 1, 1, 1]], "input_type_ids": np.zeros((2, 4))})
    assert {value.dtype.name for value in found.values()} == {"int32"}


def test_nothing_that_is_given_is_filled_in_and_further_inputs_stay():
    given = named({**ALL, "masked_lm_positions": [[1], [2]]}, others=["masked_lm_positions"])
    found = completed(given, lambda x, dtype: np.asarray(x).astype(dtype))
    same(found, {**ALL, "masked_lm_positions": [[1], [2]]})


def test_only_the_inputs_that_a_call_takes_are_filled_in():
    found = completed(named(IDS), lambda x, dtype: np.asarray(x).astype(dtype), taken=("input_mask", "input_word_ids"))
    same(found, {"input_word_ids": IDS, "input_mask": IDS != 0})


def test_token_types_are_refused_where_there_are_none():
    with pytest.raises(UsageError, match="this encoder has no token types") as caught:
        completed(ALL, lambda x, dtype: x, taken=("input_mask", "input_word_ids"))
    assert caught.value.hint == "leave them out: it takes input_word_ids, input_mask"


def test_padding_of_another_vocabulary_is_known_by_its_id():
    found = completed({"input_word_ids": np.array([[0, 5, 1]])}, lambda x, dtype: np.asarray(x).astype(dtype), pad=1)
    assert found["input_mask"].tolist() == [[1, 1, 0]]


@pytest.mark.parametrize(
    ("given", "keywords", "message"),
    [
        ({"attention_mask": MASK}, {}, "no token ids, found input_mask"),
        (None, {}, "no token ids, found nothing"),
        ({"input_idz": IDS}, {}, "'input_idz'.*did you mean input_ids"),
        ({"input_ids": IDS, "position_ids": IDS}, {}, "'position_ids'.*leave it out"),
        (ALL, {"attention_mask": MASK}, "input_mask twice: the second time as 'attention_mask'"),
        ("a text", {}, "are a text, expected token ids.*surgery.load"),
        (["a text", "another"], {}, "are a text"),
        (np.array(["a text"]), {}, "are a text"),
        ([[101, 7, 102], [1, 1, 1]], {}, r"list of 2, expected up to three arrays.*np\.array\(ids\)"),
        ([IDS, MASK, TYPES, TYPES], {}, "list of 4"),
    ],
)
def test_what_cannot_be_told_apart_is_refused(given, keywords, message):
    with pytest.raises(UsageError, match=f"(?s){message}"):
        named(given, keywords)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"input_word_ids": IDS.astype(np.float32)}, "float32, expected integers.*dtype='int32'"),
        ({"input_word_ids": IDS[0]}, r"1 axes, expected \[batch, seq\].*ids\[None, :\]"),
        ({"input_word_ids": IDS, "input_mask": MASK[:, :3]}, r"input_mask is \[2, 3\], and input_word_ids is \[2, 4\]"),
    ],
)
def test_values_that_are_no_tokens_are_refused(given, message):
    with pytest.raises(UsageError, match=f"(?s){message}"):
        completed(given, lambda x, dtype: np.asarray(x).astype(dtype))


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([[101, 7.9, 102]], "input_word_ids is float64, expected integers"),
        ([[101, 7], [102]], "input_word_ids has lists of unequal length"),
        ([[101, 2**32 + 7]], "the inputs have 4294967303, which is no int32"),
        ([[2**64]], "input_word_ids is object, expected integers"),
        ([101, 7, 102], "input_word_ids has 1 axes"),
    ],
)
def test_no_number_of_a_list_changes_on_its_way_into_an_array(ids, message):
    with pytest.raises(UsageError, match=message):
        token_arrays(named({"input_ids": ids}))


def test_lists_and_arrays_of_integers_become_int32():
    for ids in (IDS, IDS.tolist(), IDS.astype(np.uint8)):
        found = token_arrays(named({"input_ids": ids}))
        same(found, {"input_word_ids": IDS, "input_mask": IDS != 0, "input_type_ids": IDS * 0})
        assert {value.dtype.name for value in found.values()} == {"int32"}
