"""Batches of one length are run as one, and each gets its own rows back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from surgery.explanation.architecture import Architecture
from surgery.proof.battery import first_look, make_battery
from surgery.proof.joining import joinable, run_joined

BATTERY = make_battery(
    Architecture(
        family="bert",
        generation="test",
        values={"vocab_size": 1200, "max_position_embeddings": 96, "type_vocab_size": 2},
    )
)


def test_the_battery_is_run_once_for_each_length():
    groups = joinable(BATTERY)
    assert [sorted({BATTERY[n].length for n in numbers}) for numbers in groups] == [[1], [2], [17], [96]]
    assert sorted(n for numbers in groups for n in numbers) == list(range(len(BATTERY)))


def test_batches_that_are_not_run_in_double_precision_are_in_no_group():
    for part in first_look(BATTERY):
        batches = list(part.values())
        ran = [batches[n].double for numbers in joinable(batches) for n in numbers]
        assert all(ran)
        assert len(ran) == sum(batch.double for batch in batches)


def test_batches_with_and_without_taps_and_with_other_numbers_of_positions_stay_apart():
    one = BATTERY[6]
    other = replace(one, inputs={**one.inputs, "masked_lm_positions": np.zeros((1, 5), np.int32)})
    assert joinable([one, replace(one, taps=False), other, one]) == [[0, 3], [1], [2]]


def test_each_batch_gets_its_own_rows():
    runs = []

    def run(batch):
        runs.append(batch.label)
        ids = batch.inputs["input_word_ids"]
        return {"tokens": ids * 2.0, "pooled": ids.sum(1), "sum": ids.sum(), "one": ids[:1]}

    for numbers in joinable(BATTERY):
        found = run_joined(BATTERY, numbers, run)
        assert list(found) == numbers
        for number in numbers:
            ids = BATTERY[number].inputs["input_word_ids"]
            np.testing.assert_array_equal(found[number]["tokens"], ids * 2.0)
            np.testing.assert_array_equal(found[number]["pooled"], ids.sum(1))
            assert BATTERY[number].label in runs[-1]
    assert len(runs) == 4


def test_an_output_without_a_row_for_each_is_returned_whole_so_that_its_shape_shows():
    found = run_joined(BATTERY, [0, 1, 2], lambda batch: {"wrong": np.zeros((5, 1)), "scalar": np.float64(1)})
    assert [(arrays["wrong"].shape, arrays["scalar"].shape) for arrays in found.values()] == [((5, 1), ())] * 3
