"""Rows claim whole names, exactly one row a variable, and nothing may be left over on either side."""

from __future__ import annotations

import pytest

from surgery.explanation.claims import explain
from surgery.module import VariableInfo
from surgery.tables.rules import Dialect, drop, fill, move


def variable(name: str, *shape: int) -> VariableInfo:
    return VariableInfo(name=name, dtype="float32", shape=shape or (4,), trainable=True)


def dialect(*rules) -> Dialect:
    return Dialect(generation={"dict": "a test"}, rules=rules)


def test_a_name_without_holes_matches_itself_only():
    row = move("pooler/bias", "pooler_transform/bias", "hidden")
    assert row.match("pooler/bias") == {}
    for other in ("pooler/bias/x", "a/pooler/bias", "pooler/bia", "poolerXbias", "pooler/bias\n"):
        assert row.match(other) is None, other


def test_a_dot_in_a_name_is_a_dot():
    assert move("a.b", "c", "hidden").match("axb") is None


def test_the_hole_layer_matches_digits_only():
    row = move("layer_{layer}/bias", "block_{layer}/bias", "hidden")
    assert row.match("layer_12/bias") == {"layer": "12"}
    assert row.match("layer_x/bias") is None
    assert row.match("layer_1/2/bias") is None


def test_another_hole_matches_anything_but_a_slash():
    row = move("a/{leaf}", "b/{leaf}", "hidden")
    assert row.match("a/kernel") == {"leaf": "kernel"}
    assert row.match("a/b/kernel") is None


def test_a_hole_with_a_regex_matches_what_the_regex_says():
    row = move("a{suffix:(?:_[0-9]+)?}/{qkv:query|key|value}", "b/{qkv}", "hidden")
    assert row.match("a/query") == {"suffix": "", "qkv": "query"}
    assert row.match("a_12/value") == {"suffix": "_12", "qkv": "value"}
    assert row.match("a/values") is None
    assert row.match("a_/key") is None


def test_a_regex_with_braces_of_its_own_is_understood():
    row = move("a/{year:[0-9]{4}}", "b/{year}", "hidden")
    assert row.match("a/2019") == {"year": "2019"}
    assert row.match("a/201") is None


def test_holes_are_carried_into_the_target():
    row = move("layer_{layer}/{qkv:query|key}", "block_{layer}/{qkv}", "hidden")
    (claim,) = explain(dialect(row), [variable("layer_3/key")]).claims
    assert claim.targets == ("block_3/key",)
    assert fill("{a}/{b}{a}", {"a": "1", "b": "2"}) == "1/21"


def test_a_dropped_variable_has_a_reason_and_no_target():
    (claim,) = explain(dialect(drop("cls/{rest:.*}", because="nobody needs it")), [variable("cls/a/b")]).claims
    assert claim.targets == ()
    assert claim.rule.because == "nobody needs it"


def test_a_table_that_claims_every_variable_once_and_uses_every_row_is_complete():
    found = explain(dialect(move("a", "x", "hidden"), move("b", "y", "hidden")), [variable("b"), variable("a")])
    assert found.complete
    assert found.complaints() == ()


def test_a_variable_that_no_row_claims_is_told_with_its_shape():
    found = explain(dialect(move("a", "x", "hidden")), [variable("a"), variable("surplus", 3, 5)])
    assert not found.complete
    assert found.complaints() == ("no row claims surplus [3, 5]",)


def test_a_variable_that_two_rows_claim_is_told_with_both_rows():
    found = explain(dialect(move("a", "x", "hidden"), move("{any}", "y", "hidden")), [variable("a"), variable("b")])
    assert not found.complete
    assert found.complaints() == ("a is claimed by a and {any}",)


def test_a_row_that_claims_nothing_is_told_unless_it_is_optional():
    rows = (move("a", "x", "hidden"), move("b", "y", "hidden"), move("c", "z", "hidden", optional="group"))
    found = explain(dialect(*rows), [variable("a")])
    assert not found.complete
    assert found.complaints() == ("nothing matches the row b",)


def test_no_variables_are_no_explanation():
    assert not explain(dialect(move("a", "x", "hidden", optional="group")), []).complete


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_the_order_of_rows_means_nothing(order):
    rows = [move("a/{x}", "x", "hidden"), move("b/{x}", "y", "hidden"), move("c", "z", "hidden")]
    found = explain(dialect(*(rows[i] for i in order)), [variable("c"), variable("a/1"), variable("b/1")])
    assert {claim.variable.name: claim.targets for claim in found.claims} == {"a/1": ("x",), "b/1": ("y",), "c": ("z",)}
