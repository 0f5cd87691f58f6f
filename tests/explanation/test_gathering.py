"""What observations amount to: values, evidence, and fields that lack it."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from itertools import permutations

import pytest

from surgery.errors import ContradictionError
from surgery.explanation.gathering import Evidence, Seen, Unseen, fold

BY_GRAPH = Seen(field="hidden_act", value="gelu", kind="graph", place="block_0/Erf")
AGAIN = Seen(field="hidden_act", value="gelu", kind="graph", place="block_1/Erf")
BY_CONFIG = Seen(field="hidden_act", value="gelu", kind="config", place="config.json: hidden_act")
BY_CALLER = Seen(field="hidden_act", value="gelu", kind="option", place="--assume hidden_act=gelu")
OTHER = Seen(field="hidden_act", value="relu", kind="graph", place="block_2/Relu")
NO_TRACE = Unseen(field="hidden_act", because="the module has no training trace of __call__")
UNREADABLE = Unseen(field="hidden_act", because="found Sigmoid", unreadable=True)


def test_the_first_sight_of_each_kind_gives_the_place_and_the_others_are_counted():
    found = fold("m", [BY_CONFIG, BY_GRAPH, AGAIN])
    assert found.values == {"hidden_act": "gelu"}
    assert found.evidence == (
        Evidence(field="hidden_act", value="gelu", kind="config", place="config.json: hidden_act"),
        Evidence(field="hidden_act", value="gelu", kind="graph", place="block_0/Erf", count=2),
    )
    assert found.place("hidden_act") == "config.json: hidden_act"
    assert found.places == {"config.json: hidden_act", "block_0/Erf", "block_1/Erf"}
    assert not found.missing


def test_a_later_sight_that_disagrees_is_a_contradiction_that_names_the_first_place():
    for first, second in permutations([BY_GRAPH, OTHER]):
        with pytest.raises(ContradictionError) as caught:
            fold("m", [first, AGAIN, second] if first is BY_GRAPH else [first, second])
        assert f"hidden_act is {first.value} (read at {first.place}), but {second.value} at" in caught.value.message


def test_a_field_that_is_seen_elsewhere_lacks_nothing():
    assert not fold("m", [NO_TRACE, BY_CONFIG]).missing
    assert fold("m", [NO_TRACE]).missing == {"hidden_act": NO_TRACE.because}


def test_a_place_that_cannot_be_read_is_made_up_for_by_the_caller_s_word_only():
    assert fold("m", [BY_GRAPH, UNREADABLE]).missing == {"hidden_act": "found Sigmoid"}
    assert not fold("m", [BY_GRAPH, UNREADABLE, BY_CALLER]).missing


def test_what_is_missing_is_told_in_the_order_of_the_readers_with_the_unreadable_place_as_its_reason():
    size = Unseen(field="hidden_size", because="config.json has no hidden_size")
    assert list(fold("m", [size, NO_TRACE, UNREADABLE]).missing.items()) == [
        ("hidden_size", "config.json has no hidden_size"),
        ("hidden_act", "found Sigmoid"),
    ]
    assert fold("m", [NO_TRACE, size, Unseen(field="hidden_act", because="a later reason")]).missing == {
        "hidden_act": NO_TRACE.because,
        "hidden_size": size.because,
    }


def test_what_was_folded_does_not_change_any_more():
    found = fold("m", [BY_GRAPH])
    with pytest.raises(FrozenInstanceError):
        found.values = {}
    assert fold("m", [BY_GRAPH]) == found
