"""Sentences about axes: what they say, bind and refuse, and that every rule's sentence can be undone."""

from __future__ import annotations

import numpy as np
import pytest

from surgery.families import FAMILIES
from surgery.tables.layout import bind, parse, shape_of

RULES = [rule for family in FAMILIES for dialect in family.dialects for rule in dialect.rules]
SENTENCES = sorted({rule.layout.sentence for rule in RULES if rule.layout is not None})
PRIMES = (2, 3, 5, 7, 11, 13)


def test_a_sentence_names_the_groups_of_both_sides():
    layout = parse("hidden (heads size) -> hidden heads size")
    assert layout.left == (("hidden",), ("heads", "size"))
    assert layout.right == (("hidden",), ("heads",), ("size",))
    assert layout.axes == ("hidden", "heads", "size")


def test_a_sentence_without_an_arrow_leaves_the_tensor_as_it_is():
    layout = parse("vocab embedding")
    assert layout.left == layout.right == (("vocab",), ("embedding",))
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(layout.apply(array, {"vocab": 2, "embedding": 3}), array)


@pytest.mark.parametrize(
    ("sentence", "complaint"),
    [
        ("hidden hidden", "names an axis twice"),
        ("hidden (heads hidden) -> hidden heads", "names an axis twice"),
        ("hidden heads -> hidden size", "same axes on both sides"),
        ("hidden heads -> hidden", "same axes on both sides"),
        ("hidden -> hidden heads", "same axes on both sides"),
        ("hidden (heads size -> hidden heads size", "cannot read '\\('"),
        ("hidden heads) -> hidden heads", "cannot read '\\)'"),
        ("hidden 3", "cannot read '3'"),
        ("hidden () -> hidden", "cannot read '\\(\\)'"),
        ("((a) b) -> a b", "cannot read"),
        ("a -> b -> a", "cannot read"),
        ("a ->", "same axes|cannot read|empty"),
        ("-> a", "same axes|cannot read|empty"),
    ],
)
def test_a_malformed_sentence_is_refused_with_the_reason(sentence: str, complaint: str):
    with pytest.raises(ValueError, match=complaint):
        parse(sentence)


def test_the_first_sight_of_an_axis_defines_its_size():
    assert bind(parse("hidden inner"), (64, 160), {}) == {"hidden": 64, "inner": 160}


def test_a_later_sight_that_disagrees_is_refused_with_both_sizes():
    with pytest.raises(ValueError, match=r"hidden is 64 elsewhere, but 65 here"):
        bind(parse("hidden inner"), (65, 160), {"hidden": 64})


def test_a_joined_group_defines_its_one_unknown_axis():
    layout = parse("hidden (heads size) -> hidden heads size")
    assert bind(layout, (64, 64), {"size": 16}) == {"hidden": 64, "heads": 4, "size": 16}
    assert bind(layout, (64, 64), {"heads": 8}) == {"hidden": 64, "heads": 8, "size": 8}


def test_a_joined_group_with_two_unknown_axes_defines_neither():
    assert bind(parse("(heads size) -> heads size"), (64,), {}) == {}


def test_a_joined_group_that_does_not_multiply_to_its_size_is_refused():
    with pytest.raises(ValueError, match=r"\(heads size\) is 60 elsewhere, but 64 here"):
        bind(parse("(heads size) -> heads size"), (64,), {"heads": 5, "size": 12})
    with pytest.raises(ValueError, match=r"which 5 does not divide"):
        bind(parse("(heads size) -> heads size"), (64,), {"heads": 5})


def test_a_known_size_of_zero_is_refused_and_not_divided_by():
    with pytest.raises(ValueError, match="heads"):
        bind(parse("(heads size) -> heads size"), (64,), {"size": 0})


def test_another_number_of_axes_is_refused():
    with pytest.raises(ValueError, match=r"wants 2 axes, found shape \[64\]"):
        bind(parse("hidden inner"), (64,), {})


def test_binding_leaves_the_sizes_it_was_given_alone():
    known = {"hidden": 64}
    bind(parse("hidden inner"), (64, 160), known)
    assert known == {"hidden": 64}


def test_a_flat_query_kernel_is_cut_into_heads_as_numpy_would_reshape_it():
    flat = np.random.default_rng(0).normal(size=(12, 12)).astype(np.float32)
    sizes = {"hidden": 12, "heads": 3, "size": 4}
    layout = parse("hidden (heads size) -> hidden heads size")
    np.testing.assert_array_equal(layout.apply(flat, sizes), flat.reshape(12, 3, 4))
    wrong_heads = layout.apply(flat, {"hidden": 12, "heads": 4, "size": 3})
    assert wrong_heads.shape == (12, 4, 3)


def test_a_flat_output_kernel_is_cut_along_its_first_axis():
    flat = np.random.default_rng(0).normal(size=(12, 12)).astype(np.float32)
    laid_out = parse("(heads size) hidden -> heads size hidden").apply(flat, {"hidden": 12, "heads": 3, "size": 4})
    np.testing.assert_array_equal(laid_out, flat.reshape(3, 4, 12))


def test_axes_that_change_places_are_transposed():
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    moved = parse("a b c -> (c a) b").apply(array, {"a": 2, "b": 3, "c": 4})
    np.testing.assert_array_equal(moved, array.transpose(2, 0, 1).reshape(8, 3))
    assert moved.flags.c_contiguous


def test_applying_to_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"wants shape \[2, 3\], found \[3, 2\]"):
        parse("a b -> b a").apply(np.zeros((3, 2), np.float32), {"a": 2, "b": 3})


@pytest.mark.parametrize("sentence", SENTENCES)
def test_the_layout_of_every_rule_can_be_undone(sentence: str):
    layout = parse(sentence)
    sizes = dict(zip(layout.axes, PRIMES, strict=False))
    source = shape_of(layout.left, sizes)
    array = np.arange(np.prod(source), dtype=np.float32).reshape(source)
    moved = layout.apply(array, sizes)
    assert moved.shape == shape_of(layout.right, sizes)
    back = layout.inverse().apply(moved, sizes)
    assert back.dtype == array.dtype
    assert back.tobytes() == array.tobytes()
    assert back.shape == array.shape
