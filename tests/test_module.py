"""Structures: their leaves in TensorFlow's order, and how they are told."""

from __future__ import annotations

import pytest

from surgery.comparing.interfaces import graph_pairs
from surgery.formats import saved_model as saved_model_file
from surgery.graph_taps.listing import choose_signature
from surgery.module import TensorInfo, describe, for_inference, leaves
from surgery.sources.files import Files
from surgery.sources.opening import open_module
from surgery.triton.exported import choose_signatures
from surgery.wording import shape_text
from tests.support.synthetic import CNN, Function, module, new_graph, tensor, trace, write_saved_model


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


def test_an_evaluation_graph_that_comes_first_is_never_taken_for_the_one_that_is_served(tmp_path):
    """An Estimator may write one before the graph that it serves, with a signature of the same name."""
    folder = write_saved_model(tmp_path / "model", CNN)
    saved_model = saved_model_file.read(folder / "saved_model.pb")
    served = type(saved_model.meta_graphs[0]).FromString(saved_model.meta_graphs[0].SerializeToString())
    saved_model.meta_graphs[0].meta_info_def.tags[:] = ["eval"]
    saved_model.meta_graphs.append(served)
    (folder / "saved_model.pb").write_bytes(saved_model.SerializeToString())
    with open_module(str(folder), with_weights=False) as found:
        assert found.inference is found.meta_graphs[1]
        assert graph_pairs(found, found)[0] == (found.meta_graphs[1], found.meta_graphs[1])
    assert choose_signature(Files(folder=folder, name="model"))[0].meta_info_def.tags == ["serve"]
    assert [model.tags for model in choose_signatures(folder, (), None)] == [("serve",)]
