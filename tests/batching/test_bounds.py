"""What a request may ask for, and the values that a BERT's inputs may have: no server, no TensorFlow."""

from __future__ import annotations

import re

import numpy as np
import pytest

from surgery.batching.bounds import Bounds, check_size, check_values, within
from surgery.errors import UsageError

BOUNDS = Bounds(rows=4, tokens=100, text_bytes=10)
SHAPES = {"input_word_ids": (None, None)}


def ids(rows, length):
    return {"input_word_ids": np.ones((rows, length), np.int32)}


@pytest.mark.parametrize(
    ("request_", "shapes", "message"),
    [
        (ids(5, 2), SHAPES, r"input input_word_ids: 5 rows, and the most is 4.*--max-batch"),
        (ids(2, 51), SHAPES, r"input input_word_ids: \[2, 51\], 102 tokens, and the most is 100.*--max-tokens"),
        (
            {"text": np.array([b"12345", b"678901"], object)},
            {"text": (None,)},
            r"its texts: 11 bytes, and the most is 10.*--max-text-bytes",
        ),
    ],
)
def test_a_request_beyond_a_bound_is_refused_and_the_option_named(request_, shapes, message):
    with pytest.raises(UsageError) as caught:
        check_size(request_, shapes, BOUNDS)
    assert re.search(message, " ".join(str(caught.value).split()))


def test_a_request_at_the_bounds_passes_and_axes_of_fixed_size_do_not_count():
    check_size(ids(4, 25), SHAPES, BOUNDS)
    check_size({"text": np.array([b"1234567890"], object)}, {"text": (None,)}, BOUNDS)
    check_size({"image": np.zeros((4, 224, 224, 3), np.float32)}, {"image": (None, 224, 224, 3)}, BOUNDS)
    check_size({"scalar": np.zeros((), np.float32)}, {"scalar": ()}, BOUNDS)


def test_a_group_is_run_in_parts_that_stay_within_the_bound_with_their_padding():
    requests = [ids(1, 10), ids(1, 40), ids(1, 10), ids(2, 20), ids(1, 100), ids(1, 1)]
    assert within(range(6), requests, SHAPES, 100) == [[0, 1], [2, 3], [4], [5]]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("input_mask", 2, r"input input_mask, row 8, position 2: expected 0 \(padding\) or 1 \(a token\), found 2"),
        ("input_mask", -1, r"input input_mask, row 8, position 2: .* found -1"),
        (
            "input_type_ids",
            2,
            r"input input_type_ids, row 8, position 2: expected 0 to 1, the .*, found 2",
        ),
        ("segment_ids", -1, r"input segment_ids, row 8, position 2: .* found -1"),
    ],
)
def test_values_that_mean_nothing_are_refused_by_input_row_and_value(key, value, message):
    array = np.zeros((3, 4), np.int32)
    check_values({key: array}, 2, first_row=7)
    array[1, 2] = value
    with pytest.raises(UsageError, match=message):
        check_values({key: array}, 2, first_row=7)


def test_what_is_not_known_is_not_refused():
    check_values({"input_type_ids": np.full((1, 2), 7)}, None)
    check_values({"input_mask": np.full((1, 2), 0.5, np.float32), "noise": np.full((1, 2), 9)}, 2)
