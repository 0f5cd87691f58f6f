"""Graphs with their calls opened: names of places, what stands behind a tensor, and the graph written out again."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from surgery.graphs.calls import tree_of_function, tree_of_graph, unique_names
from surgery.graphs.flatten import Output, flatten
from tests.support.synthetic import FLOAT, Function, new_graph


def definition(op: str) -> SimpleNamespace:
    """One output argument `y`; Split has two, `y` and `rest`."""
    plain = SimpleNamespace(name="y", number_attr="", type_list_attr="", type_attr="", type=FLOAT)
    rest = SimpleNamespace(name="rest", number_attr="", type_list_attr="", type_attr="", type=FLOAT)
    return SimpleNamespace(output_arg=[plain, rest] if op == "Split" else [plain], attr=())


@pytest.fixture
def library():
    """outer(x) calls scope/inner twice, one after the other by a control input; inner writes something on the side."""
    graph_def = new_graph()
    inner = Function(graph_def, "inner", ["a"])
    inner.op("Print", name="said")
    inner.returns(
        first=inner.op("Neg", "a", name="neg"), second=inner.op("Split", "neg:y:0", name="split", port="rest:0")
    )
    inner.proto.control_ret["said"] = "said"
    outer = Function(graph_def, "outer", ["x"])
    outer.op("Identity", "x", name="scope/neg")
    for name, feeds in (("scope/one", ["scope/neg:y:0"]), ("scope/two", ["scope/one:output:1", "^scope/one"])):
        outer.op("StatefulPartitionedCall", *feeds, name=name, port="")
        outer.proto.node_def[-1].attr["f"].func.name = "inner"
    outer.op("Never", "x", name="never")
    outer.returns(y=outer.op("Abs", "scope/two:output:0", name="abs"))
    outer.proto.control_ret["scope/two"] = "scope/two"
    return graph_def


def test_an_outer_operation_keeps_a_name_that_an_inner_one_shares(library):
    names = unique_names(tree_of_function(library, "outer"))
    assert names["scope/neg",] == "scope/neg"
    assert names["scope/one", "neg"] == "scope/one/neg"
    assert names["scope/two", "neg"] == "scope/two/neg"
    assert names["scope/one", "split"] == "scope/split"
    assert len(set(names.values())) == len(names)


def test_names_do_not_depend_on_the_order_of_the_file(library):
    before = unique_names(tree_of_function(library, "outer"))
    for function in library.library.function:
        nodes = list(function.node_def)[::-1]
        del function.node_def[:]
        function.node_def.extend(nodes)
    assert unique_names(tree_of_function(library, "outer")) == before


def test_a_name_of_an_argument_is_taken():
    graph_def = new_graph()
    inner = Function(graph_def, "inner", ["a"])
    inner.returns(y=inner.op("Neg", "a", name="x"))
    outer = Function(graph_def, "outer", ["x"])
    outer.returns(y=outer.call("inner", "x")[0])
    assert set(unique_names(tree_of_function(graph_def, "outer")).values()) == {"statefulpartitionedcall_0/x"}


def test_a_tensor_is_seen_through_calls_and_arguments(library):
    root = tree_of_function(library, "outer")
    assert root.owner("scope/two:output:1")[1:] == ("split", "rest:0")
    two = root.calls["scope/two"]
    assert two.owner("a")[0] is root.calls["scope/one"]
    assert root.calls["scope/one"].owner("a")[1:] == ("scope/neg", "y:0")
    assert root.owner("x").is_free


def test_every_operation_is_walked_in_the_order_of_the_file(library):
    walked = [(*body.address, node.name) for body, node in tree_of_function(library, "outer").walk()]
    assert walked == [
        ("scope/neg",),
        *(("scope/one", name) for name in ("said", "neg", "split")),
        *(("scope/two", name) for name in ("said", "neg", "split")),
        ("never",),
        ("abs",),
    ]


def test_a_function_that_calls_itself_is_refused():
    graph_def = new_graph()
    function = Function(graph_def, "f", ["x"])
    function.returns(y=function.call("f", "x")[0])
    with pytest.raises(ValueError, match="f calls itself"):
        tree_of_function(graph_def, "f")


def written(library, *tensors):
    flat = flatten(library, tree_of_function(library, "outer"), tensors, definition)
    return flat, {node.name: list(node.input) for node in flat.graph_def.node}


def test_calls_are_written_out_and_outputs_counted_through_all_arguments(library):
    flat, nodes = written(library, "abs:y:0", Output(("scope/one", "split"), 1))
    assert flat.tensors == ("abs:0", "scope/split:1")
    assert flat.free == {"x"}
    assert nodes["scope/neg"] == ["x:0"]
    assert nodes["scope/one/neg"] == ["scope/neg:0"]
    assert nodes["scope/two/neg"][0] == "scope/split:1"
    assert not any(node.op == "StatefulPartitionedCall" for node in flat.graph_def.node)


def test_what_nothing_needs_is_left_out(library):
    assert "never" not in written(library, "abs:y:0")[1]


def test_what_a_body_runs_on_the_side_still_runs_and_waits_for_what_its_call_waited_for(library):
    flat, nodes = written(library, "abs:y:0")
    assert nodes["scope/two/said"] == ["^scope/two/start"]
    assert nodes["scope/two/start"] == ["^scope/one/done"]
    assert "^scope/said" in nodes["scope/one/done"]
    assert nodes["scope/said"] == []
    assert flat.controls == ("scope/two/done",)


def test_the_side_effects_run_even_if_no_tensor_is_asked_for(library):
    assert {"scope/said", "scope/two/said"} <= set(written(library)[1])


def test_a_body_that_is_needed_runs_whole_even_if_nothing_waits_for_its_call(library):
    outer = library.library.function[1]
    outer.control_ret.clear()
    del outer.node_def[2].input[1:]
    assert {"scope/said", "scope/two/said"} <= set(written(library, "abs:y:0")[1])
    assert not {"scope/said", "scope/two/said"} & set(written(library, "scope/neg:y:0")[1])


def test_functions_that_are_still_called_are_kept_and_no_others(library):
    assert not written(library, "abs:y:0")[0].graph_def.library.function
    library.library.function[1].node_def.add(name="loop", op="While").attr["body"].func.name = "inner"
    library.library.function[1].control_ret["loop"] = "loop"
    flat, _ = written(library, "abs:y:0")
    assert [function.signature.name for function in flat.graph_def.library.function] == ["inner"]


def test_placeholders_of_a_graph_can_stand_for_tensors_from_outside():
    graph_def = new_graph()
    graph_def.node.add(name="x", op="Placeholder")
    graph_def.node.add(name="y", op="Neg", input=["x"])
    root = tree_of_graph(graph_def, ["x"])
    flat = flatten(graph_def, root, ["y", "x"], definition)
    assert [node.name for node in flat.graph_def.node] == ["y"]
    assert flat.tensors == ("y:0", "x:0")
    assert flat.free == {"x"}
