"""A saver's graph read as data, and the operations that restore variables in its place. No TensorFlow here."""

from __future__ import annotations

import pytest

from surgery.errors import ModuleError
from surgery.graphs.restoring import restored_by_us
from tests.support.hostile import FLOAT, STRING, Body, function, small_module


def restored(meta_graph):
    """What the operations of ours put where, and the meta graph."""
    own = restored_by_us(meta_graph)
    nodes = {node.name: node for node in own.graph_def.node}
    everything = nodes[own.saver_def.restore_op_name]
    assert everything.op == "NoOp"
    keys, parts = (nodes[f"surgery_restore/{name}"].attr["value"].tensor.string_val for name in ("keys", "parts"))
    takes = [nodes[feed.removeprefix("^")] for feed in everything.input]
    numbers = [[int(feed.partition(":")[2]) for feed in take.input[1:]] for take in takes]
    return {
        take.input[0]: (take.op, [(keys[n], parts[n]) for n in some]) for take, some in zip(takes, numbers, strict=True)
    }


@pytest.fixture
def meta_graph():
    return small_module().meta_graphs[0]


def test_a_variable_takes_the_tensor_that_the_saver_gives_it(meta_graph):
    assert restored(meta_graph) == {"v": ("AssignVariableOp", [(b"v", b"")])}


def test_what_else_the_saver_waits_for_is_left_out(meta_graph):
    graph = Body(meta_graph.graph_def.node)
    graph.add("planted", "WriteFile", graph.text("path", b"x"), "path")
    next(node for node in graph.nodes if node.name == "restore").input.append("^planted")
    own = restored_by_us(meta_graph)
    nodes = {node.name: node for node in own.graph_def.node}
    assert [feed for feed in nodes[own.saver_def.restore_op_name].input] == ["^surgery_restore/v"]
    assert nodes["surgery_restore/v"].input == ["v", "surgery_restore/read:0"]


def test_functions_that_call_functions_are_followed(meta_graph):
    """As TensorFlow 2 restores a table that was itself loaded: by a function of the object, in the saver's function."""
    graph = Body(meta_graph.graph_def.node)
    graph.add("table", "MutableHashTableV2", shared_name=b"t")
    graph.add("call_restore", "StatefulPartitionedCall", "saver_filename", "table", f="traced_restore")
    next(node for node in graph.nodes if node.name == "restore").input.append("^call_restore")
    traced = function(meta_graph, "traced_restore")
    meta_graph.graph_def.library.function[-1].signature.input_arg.add(name="handle")
    keys, parts = traced.text("keys", b"first"), traced.text("parts", b"")
    for node in traced.nodes:
        node.attr["value"].tensor.string_val.append(b"second" if node.name == "keys" else b"")
        node.attr["value"].tensor.tensor_shape.dim.add(size=2)
    traced.add("RestoreV2", "RestoreV2", "x", keys, parts, dtypes=[STRING, FLOAT])
    traced.add("inner", "PartitionedCall", "RestoreV2:tensors:0", "RestoreV2:tensors:1", "handle", f="of_object")
    inner = function(meta_graph, "of_object")
    for name in ("values", "table_handle"):
        meta_graph.graph_def.library.function[-1].signature.input_arg.add(name=name)
    inner.add("imported", "LookupTableImportV2", "table_handle", "x", "values", Tin=STRING, Tout=FLOAT)
    assert restored(meta_graph) == {
        "v": ("AssignVariableOp", [(b"v", b"")]),
        "table": ("LookupTableImportV2", [(b"first", b""), (b"second", b"")]),
    }


def test_a_value_that_is_no_tensor_of_the_checkpoint_is_an_error(meta_graph):
    next(node for node in meta_graph.graph_def.node if node.name == "assign").input[1] = "x"
    with pytest.raises(ModuleError, match="at assign, its value comes from x"):
        restored_by_us(meta_graph)


@pytest.mark.parametrize("callee", ["circle", "next"])
def test_calls_without_an_end_are_an_error(meta_graph, callee):
    Body(meta_graph.graph_def.node).add("runs", "PartitionedCall", "saver_filename", f="circle")
    next(node for node in meta_graph.graph_def.node if node.name == "restore").input.append("^runs")
    names = ["circle", *(f"next{number}" for number in range(30))]
    for name, following in zip(names, [*names[1:], "end"], strict=True):
        body = function(meta_graph, name)
        for call in ("result", "again"):
            body.add(call, "PartitionedCall", "x", f="circle" if callee == "circle" else following)
    function(meta_graph, "end").add("result", "Relu", "x", T=FLOAT)
    with pytest.raises(ModuleError, match="again and again"):
        restored_by_us(meta_graph)


def test_without_a_saver_nothing_is_added(meta_graph):
    meta_graph.ClearField("saver_def")
    assert restored_by_us(meta_graph) == meta_graph
