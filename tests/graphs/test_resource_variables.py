"""TensorFlow 1's reference variables turned into resources, in the protobuf alone."""

from __future__ import annotations

import pytest
from tensorboard.compat.proto import meta_graph_pb2, variable_pb2

from surgery.graphs.resource_variables import UnsupportedReference, has_references, mark_trainable, to_resources
from tests.support.synthetic import FLOAT


def meta_graph_of(*nodes: tuple[str, str, list[str]]):
    """A graph whose variable is w, and whose signature goes from x to y; `optimise` is listed as what trains it."""
    meta_graph = meta_graph_pb2.MetaGraphDef()
    for name, op, inputs in (("x", "Placeholder", []), ("w", "VariableV2", []), *nodes):
        node = meta_graph.graph_def.node.add(name=name, op=op, input=inputs)
        if op == "VariableV2":
            node.attr["dtype"].type = FLOAT
            node.attr["_output_shapes"].list.shape.add()
    apply = meta_graph.meta_info_def.stripped_op_list.op.add(name="ApplyGradientDescent")
    apply.input_arg.add(name="var", is_ref=True)
    signature = meta_graph.signature_def["serving_default"]
    signature.inputs["x"].name, signature.outputs["y"].name = "x:0", "y:0"
    variable = variable_pb2.VariableDef(variable_name="w:0", initializer_name="w/Assign", snapshot_name="w/read:0")
    meta_graph.collection_def["variables"].bytes_list.value.append(variable.SerializeToString())
    meta_graph.collection_def["train_op"].node_list.value.append("optimise")
    return meta_graph


def usual():
    return meta_graph_of(
        ("initial", "Const", []),
        ("w/Assign", "Assign", ["w", "initial"]),
        ("w/read", "Identity", ["w"]),
        ("y", "Mul", ["x", "w/read"]),
        ("directly", "Neg", ["w", "^y"]),
        ("optimise", "ApplyGradientDescent", ["w", "y"]),
    )


def listed(meta_graph):
    (data,) = meta_graph.collection_def["variables"].bytes_list.value
    return variable_pb2.VariableDef.FromString(data)


def test_a_variable_its_assignments_and_its_reads_become_those_of_a_resource():
    meta_graph = usual()
    assert has_references(meta_graph)
    to_resources(meta_graph, ["directly"])
    nodes = {node.name: (node.op, list(node.input)) for node in meta_graph.graph_def.node}
    assert nodes["w"] == ("VarHandleOp", [])
    assert nodes["w/Assign"] == ("AssignVariableOp", ["w", "initial"])
    assert nodes["w/read"] == ("ReadVariableOp", ["w"])
    assert nodes["directly"] == ("Neg", ["w/ReadVariableOp", "^y"])
    assert nodes["w/ReadVariableOp"] == ("ReadVariableOp", ["w"])
    handle = next(node for node in meta_graph.graph_def.node if node.name == "w")
    assert handle.attr["shared_name"].s == b"w"
    assert "_output_shapes" not in handle.attr
    assert listed(meta_graph).is_resource
    assert not has_references(meta_graph)


def test_what_is_not_needed_goes_with_the_optimiser():
    meta_graph = usual()
    to_resources(meta_graph, [])
    assert {"optimise", "directly"} & {node.name for node in meta_graph.graph_def.node} == set()
    assert "train_op" not in meta_graph.collection_def


def test_an_operation_that_is_needed_and_wants_the_reference_is_refused_by_name():
    with pytest.raises(UnsupportedReference, match=r"optimise \(ApplyGradientDescent\) works on .* w"):
        to_resources(usual(), ["optimise"])


def test_old_variables_are_trainable_when_the_list_of_those_has_them():
    meta_graph = usual()
    mark_trainable(meta_graph)
    assert not listed(meta_graph).trainable
    meta_graph.collection_def["trainable_variables"].CopyFrom(meta_graph.collection_def["variables"])
    mark_trainable(meta_graph)
    assert listed(meta_graph).trainable
