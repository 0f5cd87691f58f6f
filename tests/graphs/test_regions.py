"""Loops and branches, of TensorFlow 1's frames and TensorFlow 2's functions: what stands inside, and where it ends."""

from __future__ import annotations

import pytest

from surgery import limits
from surgery.errors import LimitError
from surgery.graphs.calls import tree_of_function, tree_of_graph
from surgery.graphs.frames import Frame, enclosing_frames
from surgery.graphs.names import unique_names
from surgery.graphs.reach import computed_from
from surgery.graphs.regions import regions_of
from tests.support.synthetic import Function, new_graph


def graph_of(*nodes: tuple[str, str, list[str]]):
    graph_def = new_graph()
    for name, op, inputs in nodes:
        graph_def.node.add(name=name, op=op, input=inputs)
        if op == "Enter":
            graph_def.node[-1].attr["frame_name"].s = b"loop"
    return graph_def


LOOP = (
    ("x", "Placeholder", []),
    ("enter", "Enter", ["x"]),
    ("merge", "Merge", ["enter", "next"]),
    ("less", "Less", ["merge", "limit"]),
    ("limit", "Const", ["^merge"]),
    ("condition", "LoopCond", ["less"]),
    ("switch", "Switch", ["merge", "condition"]),
    ("body", "Sin", ["switch:1"]),
    ("next", "NextIteration", ["body"]),
    ("exit", "Exit", ["switch"]),
    ("after", "Neg", ["exit"]),
)
BRANCH = (
    ("x", "Placeholder", []),
    ("asked", "Greater", ["x"]),
    ("same", "Identity", ["asked"]),
    ("switch", "Switch", ["x", "same"]),
    ("minus", "Neg", ["switch"]),
    ("deep", "Switch", ["minus", "asked"]),
    ("deepest", "Abs", ["deep"]),
    ("inner", "Merge", ["deepest", "deep:1"]),
    ("merge", "Merge", ["inner", "switch:1"]),
    ("after", "Neg", ["merge"]),
)


def test_everything_between_enter_and_exit_is_inside_a_loop():
    frames = enclosing_frames({node.name: node for node in graph_of(*LOOP).node})
    assert set(frames) == {"enter", "merge", "less", "limit", "condition", "switch", "body", "next"}
    assert set(frames.values()) == {(Frame("loop", "loop"),)}


def test_everything_between_switch_and_merge_is_inside_a_branch_however_deep():
    frames = enclosing_frames({node.name: node for node in graph_of(*BRANCH).node})
    assert set(frames) == {"switch", "minus", "deep", "deepest", "inner"}
    assert [len(frames[name]) for name in ("minus", "deepest", "inner")] == [1, 2, 1]
    assert frames["minus"][0] == Frame("branch", "asked")


def test_a_graph_without_either_has_no_frames():
    assert enclosing_frames({node.name: node for node in graph_of(("x", "Placeholder", [])).node}) == {}


def test_results_of_a_loop_are_what_takes_something_from_inside():
    graph_def = graph_of(*LOOP)
    root = tree_of_graph(graph_def)
    (region,) = regions_of(graph_def, root, unique_names(root))
    assert (region.name, region.kind) == ("loop", "loop")
    assert region.leaving == (("exit",),)
    assert ("body",) in region.spots


def test_a_while_s_functions_are_inside_under_its_scope_and_its_outputs_outside():
    graph_def = new_graph()
    deeper = Function(graph_def, "deeper", ["a"])
    deeper.returns(y=deeper.op("Sin", "a", name="sin"))
    body = Function(graph_def, "body", ["a", "limit"])
    body.returns(y=body.call("deeper", "a")[0], same="limit")
    outer = Function(graph_def, "outer", ["x"])
    outer.op("While", "x", "x", name="cell/while", port="")
    outer.proto.node_def[-1].attr["body"].func.name = "body"
    outer.returns(y=outer.op("Neg", "cell/while:output:0", name="after"))
    caller = Function(graph_def, "caller", ["x"])
    caller.op("PartitionedCall", "x", name="lstm/call", port="")
    caller.proto.node_def[-1].attr["f"].func.name = "outer"
    caller.returns(y="lstm/call:output:0")
    root = tree_of_function(graph_def, "caller")
    (region,) = regions_of(graph_def, root, unique_names(root))
    assert (region.name, region.op, region.kind) == ("lstm/cell/while", "While", "loop")
    assert region.inside == {"lstm/sin"}
    assert region.leaving == (("lstm/call", "cell/while"), ("lstm/call", "after"))
    assert region.unchanged == {1}


def test_a_signature_computes_what_its_outputs_need_and_what_only_its_inputs_decide():
    graph_def = graph_of(
        ("x", "Placeholder", []),
        ("other", "Placeholder", []),
        ("w", "VarHandleOp", []),
        ("read", "ReadVariableOp", ["w"]),
        ("y", "Mul", ["x", "read"]),
        ("unreturned", "Neg", ["y"]),
        ("foreign", "Add", ["y", "other"]),
        ("store", "AssignVariableOp", ["w", "y"]),
        ("later", "Neg", ["y", "^store"]),
        ("initial", "Const", []),
    )
    nodes = {node.name: node for node in graph_def.node}
    assert computed_from(nodes, ["x:0"], ["y:0"]) == {"w", "read", "y", "unreturned"}
    assert computed_from(nodes, [], ["initial:0"]) == {"initial"}


def test_a_graph_that_feeds_itself_outside_of_loops_is_refused():
    graph_def = graph_of(("switch", "Switch", ["a", "a"]), ("a", "Neg", ["b"]), ("b", "Neg", ["a"]))
    with pytest.raises(ValueError, match="feeds itself"):
        enclosing_frames({node.name: node for node in graph_def.node})


def test_loops_in_loops_that_stand_for_endless_operations_are_refused():
    graph_def = new_graph()
    Function(graph_def, "f0", ["x"]).op("Neg", "x")
    for number in range(60):
        function = Function(graph_def, f"f{number + 1}", ["x"])
        for scope in "ab":
            function.op("Case", "x", name=f"{scope}/{number}")
            function.proto.node_def[-1].attr["branches"].list.func.add(name=f"f{number}")
    root = tree_of_function(graph_def, "f60")
    with pytest.raises(LimitError, match="inlined_nodes"), limits.raised({"inlined_nodes": 10000}):
        regions_of(graph_def, root, unique_names(root))


def test_a_function_whose_branch_runs_it_again_is_listed_once():
    graph_def = new_graph()
    function = Function(graph_def, "f", ["x"])
    for name in ("one", "two"):
        function.op("If", "x", name=name)
        function.proto.node_def[-1].attr["then_branch"].func.name = "f"
    outer = Function(graph_def, "outer", ["x"])
    outer.op("If", "x", name="scope/if")
    outer.proto.node_def[-1].attr["then_branch"].func.name = "f"
    root = tree_of_function(graph_def, "outer")
    (region,) = regions_of(graph_def, root, unique_names(root))
    assert region.inside == {"one", "two"}
