"""Graphs of two modules: what they compute counts, and not where the operations stand."""

from __future__ import annotations

from tensorboard.compat.proto.op_def_pb2 import OpDef

from surgery.comparing.operations import Opened, _graphs
from surgery.graphs.flat import FlatGraph
from tests.support.graph_defs import FLOAT, add
from tests.support.synthetic import Function, new_graph

DEFINITIONS = {"TopKV2": OpDef(name="TopKV2"), "Tanh": OpDef(name="Tanh")}
for op, outputs in (("TopKV2", ("values", "indices")), ("Tanh", ("y",))):
    for output in outputs:
        DEFINITIONS[op].output_arg.add(name=output, type=FLOAT)


def test_an_output_of_an_operation_is_the_same_in_a_function_and_in_a_graph():
    """A function calls the outputs of TopKV2 `values:0` and `indices:0`, a GraphDef `0` and `1`."""
    graph_def = new_graph()
    function = Function(graph_def, "f", ["x"])
    function.returns(result=function.op("Tanh", function.op("TopKV2", "x", port="indices:0")))
    add(graph_def.node, "x", "Placeholder")
    add(graph_def.node, "top", "TopKV2", "x")
    for number in range(2):
        add(graph_def.node, f"tanh_{number}", "Tanh", f"top:{number}")
    called = FlatGraph.of_function(graph_def, "f", [])
    values, indices = (FlatGraph.of_graph_def(graph_def, ["x:0"], [f"tanh_{number}:0"]) for number in range(2))

    def differ(graph):
        one, other = (Opened(graph=side, keys=("y",), assets=frozenset()) for side in (called, graph))
        return _graphs("signature f", one, other, ({}, {}), DEFINITIONS) is not None

    assert not differ(indices)
    assert differ(values)
