"""The battery holds what point 3 of the project's definition of "verified" promises."""

from __future__ import annotations

import numpy as np
import pytest

from surgery.explanation.architecture import Architecture
from surgery.proof.battery import first_look, make_battery, make_fixed_battery
from surgery.proof.joining import joinable

VOCAB, POSITIONS, TYPES = 1200, 96, 2


def battery(vocab: int = VOCAB, positions: int = POSITIONS, types: int = TYPES):
    values = {"vocab_size": vocab, "max_position_embeddings": positions, "type_vocab_size": types}
    return make_battery(Architecture(family="bert", generation="test", values=values))


def padded(padding: int = 1, positions: int = POSITIONS):
    """The battery of an encoder that counts positions from an id of padding."""
    values = {"vocab_size": VOCAB, "max_position_embeddings": positions, "pad_token_id": padding}
    return make_battery(Architecture(family="roberta", generation="test", values=values))


def arrays(name: str, **sizes: int) -> list[np.ndarray]:
    return [batch.inputs[name] for batch in battery(**sizes)]


def shape(batch) -> tuple[int, ...]:
    return batch.inputs["input_word_ids"].shape


def test_it_is_deterministic():
    for one, other in zip(battery(), battery(), strict=True):
        assert one.label == other.label
        for name in one.inputs:
            np.testing.assert_array_equal(one.inputs[name], other.inputs[name])


def test_it_has_ten_batches():
    """In double precision, one batch that shows a defect is enough, and each costs four times one in float32."""
    assert len(battery()) == 10


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


def test_the_longest_sequence_is_run_once_and_in_double_precision_only():
    longest = [batch for batch in battery() if shape(batch)[1] == POSITIONS]
    assert [(batch.taps, batch.float32, batch.training) for batch in longest] == [(False, False, False)]
    assert longest[0].inputs["input_mask"].all()


def test_every_length_above_one_comes_with_several_different_masks():
    masks: dict[int, set[str]] = {}
    for batch in battery():
        masks.setdefault(shape(batch)[1], set()).add(batch.label.partition(" ids, ")[2].partition(" mask")[0])
    assert {length: len(found) for length, found in masks.items() if length in (2, 17) and len(found) < 3} == {}


def test_some_masks_lack_position_0_and_their_rows_are_not_empty():
    late = [mask[:, 0] == 0 for mask in arrays("input_mask")]
    assert sum(column.all() for column in late) >= 2
    for batch in battery():
        if "late" in batch.label:
            assert not batch.padding_rows.any()


def test_float32_is_run_on_every_kind_of_mask_token_type_and_word_id():
    labels = " ".join(batch.label for batch in battery() if batch.float32)
    for kind in ("ragged mask", "gaps mask", "late mask", "ones mask", "zero types", "alternating types", "last types"):
        assert kind in labels
    for kind in ("random ids", "edges ids", "repeated ids"):
        assert kind in labels


def test_every_shape_is_run_by_itself_in_float32_except_the_longest():
    """In double precision, batches of one length are run as one."""
    shapes = [shape(batch) for batch in battery() if batch.float32]
    assert sorted(shapes) == [(rows, length) for rows in (1, 3, 8) for length in (1, 2, 17)]


def test_training_is_run_on_one_batch_in_which_attention_acts():
    lengths = [shape(batch)[1] for batch in battery() if batch.training]
    assert lengths == [17]


def test_the_first_look_is_at_small_batches_in_which_attention_acts():
    batches = battery()
    looked, _ = first_look(batches)
    assert [shape(batch) for batch in looked.values()] == [(1, 17), (3, 17)]
    assert all(batch.taps and batch.double for batch in looked.values())
    assert not any(batch.float32 or batch.training for batch in looked.values())
    assert list(first_look(batches[:2])[0]) == [0, 1]


def test_what_is_looked_at_first_and_the_rest_are_the_battery_once():
    batches = battery()
    parts = first_look(batches)
    for number, batch in enumerate(batches):
        for flag in ("double", "float32", "training"):
            ran = [getattr(part[number], flag) for part in parts if number in part]
            assert sum(ran) == getattr(batch, flag), (batch.label, flag)


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
    random = {ids.tobytes() for ids in arrays("input_word_ids") if len(np.unique(ids)) > 5}
    assert len(random) >= 3


def test_some_rows_are_nothing_but_padding_and_never_all_of_a_batch():
    flags = [batch.padding_rows for batch in battery()]
    assert any(flag.any() for flag in flags)
    assert not any(flag.all() for flag in flags)


def test_sub_models_run_on_some_batches_of_every_ordinary_shape():
    shapes = {shape(batch) for batch in battery() if batch.taps}
    assert {(rows, length) for rows in (1, 3, 8) for length in (1, 2, 17)} <= shapes


@pytest.mark.parametrize("positions", [1, 2, 3, 5, 16, 17, 18, 512])
def test_no_sequence_is_longer_than_the_positions(positions: int):
    lengths = {ids.shape[1] for ids in arrays("input_word_ids", positions=positions)}
    assert max(lengths) == positions
    assert min(lengths) == 1


@pytest.mark.parametrize("positions", [2, 3, 5, 16])
def test_a_short_encoder_still_gets_different_masks_a_length(positions: int):
    masks: dict[int, set[bytes]] = {}
    for batch in battery(positions=positions):
        masks.setdefault(shape(batch)[1], set()).add(batch.inputs["input_mask"][0].tobytes())
    assert {length: len(found) for length, found in masks.items() if length > 1 and len(found) < 2} == {}


def test_one_token_type_and_two_words_are_enough():
    for batch in battery(vocab=2, types=1):
        assert not batch.inputs["input_type_ids"].any()
        assert batch.inputs["input_word_ids"].max() < 2


def fixed(rows: int | None, length: int | None):
    values = {"vocab_size": VOCAB, "max_position_embeddings": POSITIONS, "type_vocab_size": TYPES}
    return make_fixed_battery(Architecture(family="bert", generation="test", values=values), rows, length)


@pytest.mark.parametrize(("rows", "length"), [(None, 24), (4, None), (1, 24), (4, 24)])
def test_a_module_of_fixed_shape_gets_batches_of_that_shape(rows, length):
    batches = fixed(rows, length)
    assert all(shape(batch)[0] == rows for batch in batches if rows)
    assert all(shape(batch)[1] == length for batch in batches if length)
    assert all(batch.taps for batch in batches if length)
    assert joinable(batches) == ([[n] for n in range(len(batches))] if rows else [[*range(len(batches))]])
    assert any(batch.training for batch in batches)
    assert not any(batch.padding_rows.all() for batch in batches)


def test_the_batches_of_one_length_have_every_kind_of_mask_id_and_type():
    masks = [batch.inputs["input_mask"] for batch in fixed(None, 24)]
    falls = [np.diff(mask, axis=1) for mask in masks]
    assert any(mask.all() for mask in masks)
    assert any((fall <= 0).all() and (fall < 0).any() for fall in falls)  # ragged
    assert any((fall > 0).any() for fall in falls)  # gaps
    assert any((mask[:, 0] == 0).any() and mask.any() for mask in masks)  # position 0 is masked
    types = {tuple(np.unique(batch.inputs["input_type_ids"])) for batch in fixed(None, 24)}
    assert types == {(0,), (TYPES - 1,), tuple(range(TYPES))}
    assert {0, VOCAB - 1} <= {int(i) for batch in fixed(None, 24) for i in batch.inputs["input_word_ids"].ravel()}


@pytest.mark.parametrize("padding", [0, 1, 3])
def test_padding_stands_before_sentences_and_inside_them_shown_and_hidden(padding):
    long = [batch.inputs for batch in padded(padding) if batch.length == 17]
    ids, mask = (np.concatenate([inputs[name] for inputs in long]) for name in ("input_word_ids", "input_mask"))
    found = ids == padding
    assert found[:, 0].any()
    assert not found[:, 0].all()
    inside = found[:, 1:-1] & ~found[:, :-2] & ~found[:, 2:]
    assert (inside & (mask[:, 1:-1] == 1)).any()
    assert (inside & (mask[:, 1:-1] == 0)).any()
    assert (~found & (mask == 0)).any(), "a token that is hidden has a position, too"


@pytest.mark.parametrize("padding", [0, 1, 3])
def test_the_longest_row_reaches_the_last_position_and_no_further(padding):
    lengths = {batch.length for batch in padded(padding)}
    (longest,) = (batch for batch in padded(padding) if batch.length == max(lengths))
    assert longest.length == POSITIONS - padding - 1
    assert not (longest.inputs["input_word_ids"] == padding).any()


def test_an_encoder_without_token_types_gets_none():
    assert {*padded()[0].inputs} == {"input_word_ids", "input_mask", "masked_lm_positions"}
