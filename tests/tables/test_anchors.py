"""Spots that are found by what a graph computes: nothing that computes something else is taken for them."""

from __future__ import annotations

import pytest

from surgery.tables import readers as read
from surgery.tables.token_positions import padding_of_positions
from tests.support.synthetic import Function, anchors, dense

TABLE = "positions"


def normalized(f: Function, x: str, *, root: bool = True, power: str = "Square", axis: float = -1.0) -> str:
    """`x · rsqrt(max(Σx², epsilon))`, as tf.math.l2_normalize writes it."""
    squares = f.op("Square", x) if power == "Square" else f.op("Mul", x, x if power == "Mul" else "x", port="z:0")
    total = f.op("Sum", squares, f.constant(axis), port="output:0")
    f.proto.node_def[-1].attr["keep_dims"].b = True
    scale = f.op("Maximum", total, f.constant(1e-12), name="floor", port="z:0")
    return f.op("Mul", x, f.op("Rsqrt", scale) if root else scale, port="z:0")


def pooled(**changes):
    def build(f: Function) -> str:
        return normalized(f, f.op("Tanh", dense(f, "x", "kernel", "bias")), **changes)

    return anchors(build, "kernel", "bias")


@pytest.mark.parametrize("power", ["Square", "Mul"])
def test_rows_that_are_divided_by_their_length_are_normalised(power):
    assert read.pooled_l2_norm_epsilon(pooled(power=power), "bias") == read.Reading(value=1e-12, place="floor")


@pytest.mark.parametrize("changes", [{"root": False}, {"power": "by another tensor"}, {"axis": 0.0}])
def test_rows_that_are_multiplied_by_anything_else_are_not_normalised(changes):
    assert read.pooled_l2_norm_epsilon(pooled(**changes), "bias") is None


def looked_up(f: Function, ids: str) -> str:
    return f.op("ResourceGather", TABLE, ids, port="output:0")


@pytest.mark.parametrize(
    "ids",
    [
        lambda f: f.op("ZerosLike", "x"),
        lambda f: f.op("Fill", f.op("Shape", "x", port="output:0"), f.constant(0.0), port="output:0"),
        lambda f: f.op("Range", f.constant(0.0), f.op("Size", "x", port="output:0"), f.constant(1.0), port="output:0"),
    ],
    ids=["zeros", "filled", "counted"],
)
def test_an_input_of_which_only_the_shape_is_used_is_not_what_a_table_is_looked_up_with(ids):
    assert anchors(lambda f: looked_up(f, ids(f)), TABLE).lookup_input(TABLE) is None


def test_the_input_whose_values_reach_a_table_is_what_it_is_looked_up_with():
    graph = anchors(
        lambda f: looked_up(f, f.op("Cast", f.op("Reshape", "x", f.op("Shape", "x", port="output:0")))), TABLE
    )
    assert graph.lookup_input(TABLE) is graph.graph.inputs[0]


def counted(
    padding: float = 1.0,
    offset: float = 1.0,
    *,
    axis: float = 1.0,
    earlier: float = 0.0,
    product: str = "Mul",
    compare: str = "NotEqual",
    mask: bool = False,
    flag: str = "",
):
    """RoBERTa's positions, with changes."""

    def build(f: Function) -> str:
        tokens = f.op("Cast", f.op(compare, "x", f.constant(padding), port="z:0"))
        count = f.op("Cumsum", "x" if mask else tokens, f.constant(axis), port="out:0")
        if flag:
            f.proto.node_def[-1].attr[flag].b = True
        before = f.op("AddV2", count, f.constant(earlier), port="z:0")  # the number of tokens of earlier calls
        found = f.op(product, before, tokens, port="z:0") if product else before
        return looked_up(f, f.op("AddV2", found, f.constant(offset), name="positions_of_tokens", port="z:0"))

    return anchors(build, TABLE)


@pytest.mark.parametrize("padding", [0, 1, 3])
def test_the_id_of_padding_is_read_where_positions_are_counted_from_it(padding):
    found = padding_of_positions(counted(padding, padding), TABLE)
    assert found == read.Reading(value=padding, place="positions_of_tokens")


@pytest.mark.parametrize(
    "changes",
    [
        {"offset": 2.0},
        {"padding": 0.0},
        {"axis": 0.0},
        {"earlier": 1.0},
        {"compare": "Greater"},
        {"mask": True},
        {"flag": "exclusive"},
        {"flag": "reverse"},
        {"product": ""},
        {"product": "Maximum"},
    ],
)
def test_positions_that_are_counted_otherwise_are_unknown(changes):
    assert not padding_of_positions(counted(**changes), TABLE).known
