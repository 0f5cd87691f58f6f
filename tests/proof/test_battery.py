"""The battery holds what point 3 of the project's definition of "verified" promises."""

from __future__ import annotations

import numpy as np
import pytest

from surgery.explanation.architecture import Architecture
from surgery.proof.battery import make_battery

VOCAB, POSITIONS, TYPES = 1200, 96, 2


def battery(vocab: int = VOCAB, positions: int = POSITIONS, types: int = TYPES):
    values = {"vocab_size": vocab, "max_position_embeddings": positions, "type_vocab_size": types}
    return make_battery(Architecture(family="bert", generation="test", values=values))


def arrays(name: str, **sizes: int) -> list[np.ndarray]:
    return [batch.inputs[name] for batch in battery(**sizes)]


def shape(batch) -> tuple[int, ...]:
    return batch.inputs["input_word_ids"].shape


def test_it_is_deterministic():
    for one, other in zip(battery(), battery(), strict=True):
        assert one.label == other.label
        for name in one.inputs:
            np.testing.assert_array_equal(one.inputs[name], other.inputs[name])


def test_it_has_about_forty_batches():
    assert 36 <= len(battery()) <= 44


def test_labels_are_unique_and_no_two_longer_batches_are_the_same():
    labels = [batch.label for batch in battery()]
    assert len(set(labels)) == len(labels)
    long = [batch for batch in battery() if shape(batch)[1] > 2]
    assert len({tuple(batch.inputs[name].tobytes() for name in sorted(batch.inputs)) for batch in long}) == len(long)


def test_every_array_is_int32_of_the_batch_and_in_range():
    for batch in battery():
        rows, length = shape(batch)
        for name in ("input_word_ids", "input_mask", "input_type_ids"):
            assert batch.inputs[name].dtype == np.int32
            assert batch.inputs[name].shape == (rows, length)
        assert batch.inputs["masked_lm_positions"].shape[0] == rows
        for name, limit in (
            ("input_word_ids", VOCAB),
            ("input_type_ids", TYPES),
            ("input_mask", 2),
            ("masked_lm_positions", length),
        ):
            assert batch.inputs[name].min() >= 0, (batch.label, name)
            assert batch.inputs[name].max() < limit, (batch.label, name)


def test_batches_of_1_3_and_8_meet_lengths_of_1_2_and_17():
    shapes = {shape(batch) for batch in battery()}
    assert {(rows, length) for rows in (1, 3, 8) for length in (1, 2, 17)} <= shapes


def test_the_longest_sequence_comes_at_batch_1_only():
    assert {shape(batch)[0] for batch in battery() if shape(batch)[1] == POSITIONS} == {1}


def test_every_shape_longer_than_one_token_comes_with_two_different_masks():
    masks: dict[tuple[int, ...], set[bytes]] = {}
    for batch in battery():
        masks.setdefault(shape(batch), set()).add(batch.inputs["input_mask"].tobytes())
    assert {s: len(found) for s, found in masks.items() if s[1] > 1 and len(found) < 2} == {}


def test_there_are_masks_of_ones_ragged_masks_and_masks_with_holes():
    kinds = set()
    for mask in (mask for mask in arrays("input_mask") if mask.shape[1] >= 17):
        falls = np.any(np.diff(mask, axis=1) < 0)
        rises = np.any(np.diff(mask, axis=1) > 0)
        kinds.add("holes" if rises else "ragged" if falls else "ones" if mask.all() else "other")
    assert {"holes", "ragged", "ones"} <= kinds


def test_ragged_rows_of_one_batch_differ_in_length():
    long = [mask for mask in arrays("input_mask") if mask.shape[1] >= 17]
    ragged = [mask for mask in long if np.any(np.diff(mask, axis=1) < 0) and not np.any(np.diff(mask, axis=1) > 0)]
    assert any(len(set(mask.sum(axis=1))) > 1 for mask in ragged)


def test_token_types_are_all_zero_all_last_and_alternating():
    found = arrays("input_type_ids", types=3)
    assert any(not types.any() for types in found)
    assert any((types == 2).all() for types in found)
    assert any(types.shape[1] >= 17 and (types[0, :6] == [0, 1, 2, 0, 1, 2]).all() for types in found)


def test_word_ids_include_the_first_the_last_and_repeated_ones():
    vast = arrays("input_word_ids", vocab=10**8)
    assert any((ids == 0).any() for ids in vast)
    assert any((ids == 10**8 - 1).any() for ids in vast)
    found = arrays("input_word_ids")
    assert any(ids.size > 8 and len(np.unique(ids)) == 1 for ids in found)
    assert any(ids.size > 100 and len(np.unique(ids)) > 90 for ids in found)


def test_random_ids_come_from_several_seeds():
    random = {ids.tobytes() for ids in arrays("input_word_ids") if len(np.unique(ids)) > 10}
    assert len(random) >= 5


def test_some_rows_are_nothing_but_padding_and_never_all_of_a_batch():
    flags = [batch.padding_rows for batch in battery()]
    assert any(flag.any() for flag in flags)
    assert not any(flag.all() for flag in flags)


def test_sub_models_run_on_some_batches_of_every_ordinary_shape():
    shapes = {shape(batch) for batch in battery() if batch.submodels}
    assert {(rows, length) for rows in (1, 3, 8) for length in (1, 2, 17)} <= shapes


@pytest.mark.parametrize("positions", [1, 2, 3, 5, 16, 17, 18, 512])
def test_no_sequence_is_longer_than_the_positions(positions: int):
    lengths = {ids.shape[1] for ids in arrays("input_word_ids", positions=positions)}
    assert max(lengths) == positions
    assert min(lengths) == 1


@pytest.mark.parametrize("positions", [2, 3, 5, 16])
def test_a_short_encoder_still_gets_two_masks_a_shape(positions: int):
    masks: dict[tuple[int, ...], set[bytes]] = {}
    for batch in battery(positions=positions):
        masks.setdefault(shape(batch), set()).add(batch.inputs["input_mask"].tobytes())
    assert {s: len(found) for s, found in masks.items() if s[1] > 1 and len(found) < 2} == {}


def test_one_token_type_and_two_words_are_enough():
    for batch in battery(vocab=2, types=1):
        assert not batch.inputs["input_type_ids"].any()
        assert batch.inputs["input_word_ids"].max() < 2
