"""Tokens as rows and back, against numpy: of all positions, and without padding."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from surgery.tf.token_rows import TokenRows

WIDTH, HEADS = 6, 2
MASKS = {
    "full and ragged": [[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]],
    "holes": [[1, 0, 1, 1, 0], [1, 1, 0, 0, 1]],
    "position 0 hidden": [[0, 1, 1, 0, 0], [0, 0, 0, 0, 1]],
    "nothing but padding": [[0, 0, 0, 0, 0], [1, 1, 1, 0, 0], [0, 0, 0, 0, 0]],
    "nothing above 0": [[-1, 0, -2, 0, 0], [1, 0, -1, 0, 0]],
    "values other than 1": [[1, 2, -1, 0, 0], [-3, 0, 7, 0, 2]],
    "one text": [[1, 0, 1]],
    "one token": [[1], [0]],
    "one hidden token": [[0]],
    "no texts": np.zeros((0, 4)),
}
CASES = [(name, packed) for name in MASKS for packed in (False, True)]


class Case:
    """A mask, the rows made for it, and random tensors [batch, seq, width]."""

    def __init__(self, name: str, *, packed: bool) -> None:
        self.mask = np.array(MASKS[name], np.int32)
        unseen = ~np.any(self.mask > 0, axis=1, keepdims=True)
        self.kept = (self.mask != 0) | (np.arange(self.mask.shape[1]) == 0) | unseen | (not packed)
        self.rows = TokenRows(tf.constant(self.mask), packed=packed)
        self.random = np.random.default_rng(3)

    def states(self, *sizes: int) -> np.ndarray:
        return self.random.normal(size=(*self.mask.shape, *(sizes or (WIDTH,)))).astype(np.float32)


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{'packed' if case[1] else 'whole'}")
def case(request):
    name, packed = request.param
    return Case(name, packed=packed)


def test_rows_are_the_kept_positions_in_their_order(case):
    states = case.states()
    rows = case.rows.of(tf.constant(states))
    assert np.array_equal(rows, states[case.kept])


def test_placed_rows_stand_where_they_stood_and_padding_is_zero(case):
    states = case.states()
    placed = case.rows.placed(tf.constant(states[case.kept]))
    assert np.array_equal(placed, np.where(case.kept[:, :, None], states, 0))


def test_placed_rows_split_their_width_into_the_axes_of_heads(case):
    states = case.states(HEADS, WIDTH // HEADS)
    placed = case.rows.placed(tf.constant(states[case.kept].reshape(-1, WIDTH)), WIDTH // HEADS)
    assert np.array_equal(placed, np.where(case.kept[:, :, None, None], states, 0))


def test_rows_of_what_was_placed_are_those_rows_themselves(case):
    rows = tf.constant(case.states()[case.kept])
    assert case.rows.of(case.rows.placed(rows)) is rows


def test_heads_of_kept_positions_stand_where_they_stood_and_the_others_are_finite(case):
    states = case.states(HEADS, WIDTH // HEADS)
    found = case.rows.heads(tf.constant(states[case.kept].reshape(-1, WIDTH)), HEADS).numpy().transpose(0, 2, 1, 3)
    assert found.shape == states.shape
    assert np.array_equal(found[case.kept], states[case.kept])
    assert np.isfinite(found).all()


def test_joined_heads_are_the_rows_of_the_kept_positions(case):
    states = case.states(HEADS, WIDTH // HEADS)
    like = tf.constant(case.states()[case.kept])
    joined = case.rows.joined(tf.constant(states.transpose(0, 2, 1, 3)), like)
    assert np.array_equal(joined, states.reshape(*case.mask.shape, WIDTH)[case.kept])


def test_what_is_shown_is_zero_at_padding_in_each_axis_that_counts_positions(case):
    length = case.mask.shape[1]
    maps = case.states(HEADS, length).transpose(0, 2, 1, 3)  # [batch, heads, seq, seq]
    queries, keys = case.kept[:, None, :, None], case.kept[:, None, None, :]
    shown = case.rows.shown(tf.constant(maps), [2, 3])
    assert np.array_equal(shown, np.where(queries & keys, maps, 0))
    assert np.array_equal(case.rows.shown(tf.constant(maps), [2]), np.where(queries, maps, 0))
    assert np.array_equal(case.rows.shown(tf.constant(maps), []), maps)
    assert case.rows.shown(None, [1]) is None


def test_what_is_not_a_number_at_padding_does_not_come_through():
    case = Case("holes", packed=True)
    states = np.where(case.kept[:, :, None], case.states(), np.nan)
    shown = case.rows.shown(tf.constant(states), [1])
    assert np.array_equal(shown, np.where(case.kept[:, :, None], states, 0))


@pytest.mark.parametrize("packed", [False, True])
def test_the_same_trace_takes_masks_of_every_shape(packed):
    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None, None, WIDTH])])
    def run(mask, states):
        rows = TokenRows(mask, packed=packed)
        here = rows.of(states)
        there = rows.joined(rows.heads(2.0 * here, HEADS), here)
        return rows.placed(there), tf.shape(here)[0]

    for name in MASKS:
        case = Case(name, packed=packed)
        states = case.states()
        found, count = run(tf.constant(case.mask), tf.constant(states))
        assert np.array_equal(found, np.where(case.kept[:, :, None], 2 * states, 0)), name
        assert count == case.kept.sum()
