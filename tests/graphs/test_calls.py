"""Graphs with their calls opened: names of places, what stands behind a tensor, and the graph written out again."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from surgery import limits
from surgery.errors import LimitError, ModuleError
from surgery.graphs.calls import DATA, opened, tree_of_function, tree_of_graph
from surgery.graphs.flat import FlatGraph, Tensor
from surgery.graphs.flatten import Output, flatten, port_at
from surgery.graphs.merging import Input, Merging, Part
from surgery.graphs.names import unique_names
from surgery.sources import well_formed
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
        opened(tree_of_function(graph_def, "f"))


def written(library, *tensors):
    root = tree_of_function(library, "outer")
    ports = [root.owner(tensor) if isinstance(tensor, str) else port_at(root, tensor) for tensor in tensors]
    flat = flatten(root, ports, definition)
    return flat, {node.name: list(node.input) for node in flat.graph_def.node}


def test_calls_are_written_out_and_outputs_counted_through_all_arguments(library):
    flat, nodes = written(library, "abs:y:0", Output(address=("scope/one", "split"), index=1))
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
    flat = flatten(root, [root.owner("y"), root.owner("x")], definition)
    assert [node.name for node in flat.graph_def.node] == ["y"]
    assert flat.tensors == ("y:0", "x:0")
    assert flat.free == {"x"}


def test_values_alone_are_merged_without_what_is_done_on_the_side_and_without_identities(library):
    outer = library.library.function[1]
    outer.node_def[0].attr["_class"].s = b"loc:@x"
    outer.node_def[-1].attr["_annotation"].i = 1
    outer.node_def[-1].attr["counts"].i = 2
    graph = FlatGraph.of_function(library, "outer", [])
    identity = next(node for node in graph.nodes if node.op == "Identity")
    wanted = {"result": graph.outputs[0], "passed on": Tensor(identity, "y:0")}
    inputs = {graph.inputs[0]: Input(name="x", dtype="float32")}
    merging = Merging(new_graph(), definition)
    merging.add(Part(graph=graph, inputs=inputs, variables={}, outputs=wanted))
    merged = merging.result()
    nodes = {node.name: node for node in merged.graph_def.node}
    (free,) = merged.inputs
    assert {name: list(node.input) for name, node in nodes.items()} == {
        "scope/neg": [f"{free}:0"],
        "scope/split": ["scope/neg:0"],
        "scope/neg_1": ["scope/split:1"],
        "abs": ["scope/neg_1:0"],
    }
    assert merged.tensors == {"result": "abs:0", "passed on": f"{free}:0"}
    assert dict(nodes["abs"].attr) == {"counts": outer.node_def[-1].attr["counts"]}


def test_a_tree_of_data_has_no_control_inputs_and_a_whole_one_has(library):
    two = library.library.function[1].node_def[2]
    assert tree_of_function(library, "outer").waits_for(two) == ["scope/one"]
    data = tree_of_function(library, "outer", DATA)
    assert data.waits_for(two) == []
    assert data.controls == data.calls["scope/two"].controls == ()


def test_a_call_is_opened_when_it_is_asked_for(library):
    library.library.function[0].signature.name = "renamed"
    root = tree_of_function(library, "outer", DATA)
    assert root.owner("scope/neg:y:0").name == "scope/neg"
    with pytest.raises(KeyError, match="inner"):
        root.owner("scope/one:output:0")


def test_the_call_of_a_missing_function_stays_an_operation_of_a_whole_tree(library):
    library.library.function[0].signature.name = "renamed"
    assert not opened(tree_of_function(library, "outer")).calls


def test_a_call_that_only_returns_its_own_result_is_refused():
    graph_def = new_graph()
    Function(graph_def, "same", ["a"]).returns(y="a")
    outer = Function(graph_def, "outer", ["x"])
    (first,) = outer.call("same", "statefulpartitionedcall_1:output:0")
    (second,) = outer.call("same", first)
    outer.returns(y=second)
    with pytest.raises(ValueError, match="only returns its own result"):
        tree_of_function(graph_def, "outer").owner(second)


def test_few_functions_that_stand_for_endless_operations_are_refused():
    graph_def = new_graph()
    Function(graph_def, "f0", ["x"]).returns(y="x")
    for number in range(60):
        function = Function(graph_def, f"f{number + 1}", ["x"])
        (once,) = function.call(f"f{number}", "x")
        function.returns(y=function.op("Add", once, *function.call(f"f{number}", once)))
    with pytest.raises(LimitError, match=r"limit inlined_nodes is 500000 .* found 3458764513820540925"):
        tree_of_function(graph_def, "f60")
    with pytest.raises(LimitError, match="inlined_nodes"):
        FlatGraph.of_function(graph_def, "f60", [])
    with pytest.raises(LimitError, match=r"limit call_depth is 10 .* found 12"), limits.raised({"call_depth": 10}):
        tree_of_function(graph_def, "f12")
    assert len(opened(tree_of_function(graph_def, "f10")).calls) == 2


def test_functions_that_call_each_other_are_refused_before_any_is_opened():
    graph_def = new_graph()
    for name, called in (("a", "b"), ("b", "a")):
        function = Function(graph_def, name, ["x"])
        function.returns(y=function.call(called, "x")[0])
    with pytest.raises(ValueError, match="calls itself"):
        tree_of_function(graph_def, "a", DATA)


def test_a_long_row_of_calls_does_not_outgrow_the_stack():
    graph_def = new_graph()
    Function(graph_def, "same", ["a"]).returns(y="a")
    outer = Function(graph_def, "outer", ["x"])
    tensor = "x"
    for _ in range(3000):
        (tensor,) = outer.call("same", tensor)
    outer.returns(y=tensor)
    graph = FlatGraph.of_function(graph_def, "outer", [])
    assert graph.outputs[0].node is graph.inputs[0]


def test_functions_nested_deeper_than_the_stack_are_a_damaged_module():
    graph_def = new_graph()
    Function(graph_def, "f0", ["x"]).returns(y="x")
    for number in range(2000):
        function = Function(graph_def, f"f{number + 1}", ["x"])
        function.returns(y=function.call(f"f{number}", "x")[0])
    with pytest.raises(LimitError, match="call_depth"):
        tree_of_function(graph_def, "f2000")
    with limits.raised({"call_depth": 2000}):
        root = tree_of_function(graph_def, "f2000")
    assert root.owner("statefulpartitionedcall_0:output:0").is_free
    with pytest.raises(ModuleError, match="nested more deeply than Python"), well_formed("the module"):
        list(root.walk())
