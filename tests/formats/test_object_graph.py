"""The object graph: children, paths, structures and dtypes as plain data."""

from __future__ import annotations

import pytest
from tensorboard.compat.proto import saved_object_graph_pb2, struct_pb2, tensor_shape_pb2, types_pb2

from surgery.formats import object_graph
from surgery.formats.tensors import dtype_name, shape_of
from surgery.module import TensorInfo
from surgery.sources.structures import structure


def graph(*children: dict[str, int]) -> saved_object_graph_pb2.SavedObjectGraph:
    """An object graph with these children by name, an object each."""
    found = saved_object_graph_pb2.SavedObjectGraph()
    for links in children:
        node = found.nodes.add()
        for name, number in links.items():
            node.children.add(local_name=name, node_id=number)
    return found


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (types_pb2.DT_FLOAT, "float32"),
        (types_pb2.DT_DOUBLE, "float64"),
        (types_pb2.DT_HALF, "float16"),
        (types_pb2.DT_BFLOAT16, "bfloat16"),
        (types_pb2.DT_INT32, "int32"),
        (types_pb2.DT_INT64, "int64"),
        (types_pb2.DT_BOOL, "bool"),
        (types_pb2.DT_STRING, "string"),
    ],
)
def test_dtypes_have_tensorflow_s_python_names(number: int, name: str):
    assert dtype_name(number) == name


def test_shapes_tell_free_axes_from_unknown_rank():
    proto = tensor_shape_pb2.TensorShapeProto()
    assert shape_of(proto) == ()
    proto.dim.add(size=-1)
    proto.dim.add(size=64)
    assert shape_of(proto) == (None, 64)
    assert shape_of(tensor_shape_pb2.TensorShapeProto(unknown_rank=True)) is None


def test_the_shortest_path_to_an_object_is_its_path():
    found = object_graph.paths(graph({"a": 1, "variables": 2}, {"deep": 3}, {"0": 3}, {}))
    assert found == {0: "", 1: "a", 2: "variables", 3: "a/deep"}


def test_a_cycle_of_objects_ends():
    assert object_graph.paths(graph({"a": 1}, {"root": 0, "self": 1})) == {0: "", 1: "a"}


def test_an_object_that_nobody_holds_has_no_path():
    assert 1 not in object_graph.paths(graph({}, {}))


def test_structures_become_nested_python_data():
    value = struct_pb2.StructuredValue()
    fields = value.dict_value.fields
    spec = fields["x"].tensor_spec_value
    spec.name, spec.dtype = "inputs/x", types_pb2.DT_INT32
    spec.shape.dim.add(size=-1)
    fields["flags"].list_value.values.add().bool_value = True
    fields["pair"].tuple_value.values.add().int64_value = 3
    fields["pair"].tuple_value.values.add().string_value = "text"
    fields["nothing"].none_value.SetInParent()
    assert structure(value) == {
        "x": TensorInfo(key="inputs/x", dtype="int32", shape=(None,)),
        "flags": [True],
        "pair": (3, "text"),
        "nothing": None,
    }


def test_an_empty_value_is_nothing():
    assert structure(struct_pb2.StructuredValue()) is None


def test_a_dtype_is_told_by_its_name():
    value = struct_pb2.StructuredValue()
    value.tensor_dtype_value = types_pb2.DT_FLOAT
    assert structure(value) == "float32"
