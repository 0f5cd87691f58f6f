"""One flat view of nested functions: what feeds what, seen through calls."""

from __future__ import annotations

import pytest

from surgery.graphs.flat import FlatGraph
from tests.support.synthetic import Function, new_graph


@pytest.fixture
def nested():
    """outer(x, w): inner(x, w) = (Neg(Mul(x, w)), x), twice in a row, with an Identity around the end."""
    graph_def = new_graph()
    inner = Function(graph_def, "inner", ["a", "b"])
    inner.returns(first=inner.op("Neg", inner.op("Mul", "a", "b", name="mul", port="z:0"), name="neg"), second="a")
    outer = Function(graph_def, "outer", ["x", "w"])
    first = outer.call("inner", "x", "w", results=2)
    second = outer.call("inner", first[0], "w", results=2)
    outer.returns(result=outer.op("Identity", second[0], port="output:0"), same=second[1])
    return FlatGraph.of_function(graph_def, "outer", ["variables/0"])


def test_arguments_are_inputs_and_captured_variables(nested):
    assert [node.path for node in nested.inputs] == ["x"]
    assert list(nested.variables) == ["variables/0"]
    assert nested.variables["variables/0"].op == "VarHandleOp"


def test_calls_themselves_are_left_out_and_their_bodies_walked_once_a_call(nested):
    assert sorted(node.op for node in nested.nodes) == ["Identity", "Mul", "Mul", "Neg", "Neg"]


def test_inputs_are_seen_through_calls(nested):
    result, same = nested.outputs
    assert result.node.op == "Identity"
    neg = result.node.inputs[0].node
    mul = neg.inputs[0].node
    assert [feed.node.op for feed in mul.inputs] == ["Neg", "VarHandleOp"]
    assert same.node is mul.inputs[0].node
    first_mul = same.node.inputs[0].node
    assert [feed.node for feed in first_mul.inputs] == [nested.inputs[0], nested.variables["variables/0"]]


def test_consumers_are_the_other_way_round(nested):
    handle = nested.variables["variables/0"]
    assert [(node.op, position) for node, position in nested.consumers[handle]] == [("Mul", 1), ("Mul", 1)]
    assert [(node.op, position) for node, position in nested.consumers[nested.inputs[0]]] == [("Mul", 0)]


def test_control_inputs_carry_no_data():
    graph_def = new_graph()
    function = Function(graph_def, "f", ["x"])
    function.returns(y=function.op("Neg", "x", "^other"))
    graph = FlatGraph.of_function(graph_def, "f", [])
    assert [feed.node.path for feed in graph.outputs[0].node.inputs] == ["x"]


def test_several_outputs_of_one_node_are_told_apart():
    graph_def = new_graph()
    function = Function(graph_def, "f", ["x"])
    function.op("Split", "x", name="split")
    function.returns(first="split:output:0", second="split:output:1")
    graph = FlatGraph.of_function(graph_def, "f", [])
    first, second = graph.outputs
    assert first.node is second.node
    assert first.port != second.port


def test_an_output_may_be_an_argument():
    graph_def = new_graph()
    Function(graph_def, "f", ["x"]).returns(y="x")
    graph = FlatGraph.of_function(graph_def, "f", [])
    assert graph.outputs[0].node is graph.inputs[0]


def test_every_trace_of_the_samples_can_be_walked(modules):
    from tests.support.editing import inspected

    for name in ("g2_small", "g4_bert_v2", "g4_albert", "g4_mobilebert"):
        module = inspected(modules(name))
        for trace in module.traces:
            graph = trace.open_graph()
            assert len(graph.inputs) == len(trace.flat_inputs), (name, trace.callable)
            assert len(graph.outputs) == len(trace.flat_outputs), (name, trace.callable)
            assert all(feed.node in graph.consumers for node in graph.nodes for feed in node.inputs)
