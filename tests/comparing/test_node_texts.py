"""The facts of nodes: what a second save changes does not count, and what a loop computes does."""

from __future__ import annotations

import pytest

from surgery.comparing.node_texts import NodeTexts
from surgery.graphs.flat import FlatGraph
from tests.support.synthetic import Function, new_graph


def facts(number: int = 1, factor: float = 2.0, shared: str = "a", *, swapped: bool = False):
    """The facts of a loop whose body multiplies, and whose functions have this number in their names.

    The body returns its product and its input, or `swapped`.
    """
    graph_def = new_graph()
    body = Function(graph_def, f"body_{number}", ["x"])
    body.returns(y=body.op("Mul", "x", body.constant(factor, name="factor"), name="product"), z="x")
    if swapped:
        body.proto.signature.output_arg.reverse()
    outer = Function(graph_def, f"outer_{number}", ["x"])
    loop = outer.op("While", "x", name="loop", port="output:0")
    node = outer.proto.node_def[-1]
    node.attr["body"].func.name = f"body_{number}"
    node.attr["shared_name"].s = shared.encode()
    outer.returns(y=loop)
    graph = FlatGraph.of_function(graph_def, f"outer_{number}", ())
    texts = NodeTexts(graph, graph.outputs, {})
    return texts.facts(texts.nodes["loop"])


def test_the_numbers_of_functions_and_names_of_a_session_do_not_count():
    assert facts() == facts(number=27, shared="b")
    assert facts()["input 0"] == "input 0"


@pytest.mark.parametrize("factor", [2.0000002, -2.0])
def test_what_a_loop_computes_counts(factor):
    assert {key for key in facts() if facts()[key] != facts(factor=factor)[key]} == {"body"}


def test_the_order_in_which_a_loop_returns_its_results_counts():
    assert {key for key in facts() if facts()[key] != facts(swapped=True)[key]} == {"body"}
