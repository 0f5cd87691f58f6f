"""Structures: their leaves in TensorFlow's order, and how they are told."""

from __future__ import annotations

import pytest

from surgery.module import TensorInfo, describe, for_inference, leaves
from surgery.wording import shape_text
from tests.support.synthetic import Function, module, new_graph, tensor, trace


def test_leaves_come_with_their_path_and_dict_keys_sorted():
    structure = {"b": [1, {"y": 2, "x": 3}], "a": (4,), "c": []}
    assert list(leaves(structure)) == [("a[0]", 4), ("b[0]", 1), ("b[1].x", 3), ("b[1].y", 2)]


def test_a_single_leaf_has_an_empty_path():
    assert list(leaves(7)) == [("", 7)]


def test_twelve_entries_of_a_list_stay_in_their_order():
    assert [path for path, _ in leaves(list(range(12)))][-2:] == ["[10]", "[11]"]


@pytest.mark.parametrize(
    ("shape", "text"), [((), "[]"), ((None, 64), "[?, 64]"), (None, "unknown rank"), ((3, 0), "[3, 0]")]
)
def test_shapes_are_told_with_free_axes(shape, text: str):
    assert shape_text(shape) == text


def test_a_structure_is_described_with_types_and_shapes():
    structure = {"x": TensorInfo(key="x", dtype="int32", shape=(None, 2)), "flags": [True, None]}
    assert describe(structure) == {"flags": [True, None], "x": "int32 [?, 2]"}


def module_with(*trainings: bool | None):
    graph_def = new_graph()
    Function(graph_def, "f", ["x"]).returns(y="x")
    traces = [trace(graph_def, "f", {"x": tensor("x")}, {"y": tensor("y")}, training=mode) for mode in trainings]
    return module(traces, {})


def test_inference_accepts_a_call_without_the_argument_and_training_does_not():
    plain = module_with(None)
    assert plain.trace("__call__", training=False) is plain.traces[0]
    assert plain.trace("__call__", training=True) is None


def test_the_trace_of_the_asked_mode_is_preferred():
    both = module_with(None, True, False)
    assert both.trace("__call__", training=False) is both.traces[2]
    assert both.trace("__call__", training=True) is both.traces[1]
    assert both.trace("mlm", training=False) is None


def test_python_constants_are_no_inputs():
    graph_def = new_graph()
    Function(graph_def, "f", ["x"]).returns(y="x")
    found = trace(graph_def, "f", [tensor("x"), True, None], {"y": tensor("y")})
    assert [path for path, _ in found.flat_inputs] == ["[0]"]


@pytest.mark.parametrize(
    ("tag_sets", "number"),
    [
        ([(), ("train",)], 0),
        ([("train",), ("eval",), ("serve",)], 2),
        ([("serve", "tpu"), ("serve",)], 1),
        ([("train",), ("eval",)], 1),
        ([("train",)], None),
        ([], None),
    ],
)
def test_the_graph_for_inference_is_the_one_that_is_served(tag_sets, number):
    assert for_inference(tag_sets) == number
