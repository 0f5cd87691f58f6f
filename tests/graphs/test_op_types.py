"""Dtypes and shapes of what operations return, from their OpDefs and attributes."""

from __future__ import annotations

import pytest
from tensorboard.compat.proto import graph_pb2, meta_graph_pb2, types_pb2

from surgery.graphs.op_types import definitions_of, output_index, output_shapes, output_types


@pytest.fixture
def meta_graph():
    meta_graph = meta_graph_pb2.MetaGraphDef()
    operations = meta_graph.meta_info_def.stripped_op_list
    shape = operations.op.add(name="Shape")
    shape.output_arg.add(name="output", type_attr="out_type")
    shape.attr.add(name="out_type", type="type").default_value.type = types_pb2.DT_INT32
    split = operations.op.add(name="Split")
    split.output_arg.add(name="output", type_attr="T", number_attr="num_split")
    split.output_arg.add(name="rest", type=types_pb2.DT_BOOL)
    operations.op.add(name="While").output_arg.add(name="output", type_list_attr="T")
    operations.op.add(name="VariableV2").output_arg.add(name="ref", type_attr="dtype", is_ref=True)
    operations.op.add(name="NoOp")
    return meta_graph


def node(op: str, **types: int) -> graph_pb2.GraphDef:
    made = graph_pb2.GraphDef().node.add(op=op)
    for key, value in types.items():
        made.attr[key].type = value
    return made


def test_a_dtype_is_an_attribute_or_its_default(meta_graph):
    definitions = definitions_of(meta_graph)
    assert output_types(node("Shape"), definitions) == ["int32"]
    assert output_types(node("Shape", out_type=types_pb2.DT_INT64), definitions) == ["int64"]


def test_one_argument_may_be_several_outputs_and_ports_count_within_it(meta_graph):
    definitions = definitions_of(meta_graph)
    split = node("Split", T=types_pb2.DT_FLOAT)
    split.attr["num_split"].i = 3
    assert output_types(split, definitions) == ["float32", "float32", "float32", "bool"]
    assert [output_index(port, split, definitions["Split"]) for port in ("output:2", "rest:0", "1")] == [2, 3, 1]
    loop = node("While")
    loop.attr["T"].list.type.extend([types_pb2.DT_INT32, types_pb2.DT_VARIANT])
    assert output_types(loop, definitions) == ["int32", "variant"]
    with pytest.raises(ValueError, match=r"the output nothing of .*, which Split does not have"):
        output_index("nothing:0", split, definitions["Split"])


def test_a_reference_counts_as_what_it_refers_to(meta_graph):
    variable = node("VariableV2", dtype=types_pb2.DT_FLOAT)
    assert output_types(variable, definitions_of(meta_graph)) == ["float32"]
    assert output_types(node("VariableV2", dtype=types_pb2.DT_FLOAT_REF), definitions_of(meta_graph)) == ["float32"]


def test_of_an_operation_without_a_definition_the_outputs_are_counted_by_their_shapes(meta_graph):
    definitions = definitions_of(meta_graph)
    unheard = node("Unheard")
    assert output_types(unheard, definitions) == ["unknown"]
    unheard.attr["_output_shapes"].list.shape.add().dim.add(size=-1)
    unheard.attr["_output_shapes"].list.shape.add(unknown_rank=True)
    assert output_types(unheard, definitions) == ["unknown", "unknown"]
    assert output_shapes(unheard, 2) == [(None,), None]
    assert output_shapes(node("Shape"), 1) == [None]
    assert output_types(node("NoOp"), definitions) == []


def test_a_function_that_is_an_operation_defines_itself(meta_graph):
    function = meta_graph.graph_def.library.function.add()
    function.signature.name = "halve"
    function.signature.output_arg.add(name="y", type=types_pb2.DT_DOUBLE)
    assert output_types(node("halve"), definitions_of(meta_graph)) == ["float64"]
