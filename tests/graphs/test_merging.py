"""Several graphs as one: what counts as the same operation, and what never does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from surgery.graphs.flat import FlatGraph
from surgery.graphs.inputs import fed_with
from surgery.graphs.merging import Input, Part
from tests.support.graph_defs import DOUBLE, FLOAT, INT32, INT64, UINT64, add, constant, new_merging, part
from tests.support.synthetic import Function, new_graph
from tests.support.variable_inputs import with_variables_as_inputs

X = {"x": "float32"}


def merge(*parts, **options):
    merging = new_merging(**options)
    for one in parts:
        merging.add(one)
    return merging.result()


def shown(merged):
    """Every operation by name: its type, and its inputs."""
    return {node.name: (node.op, *node.input) for node in merged.graph_def.node}


def nodes(merged):
    return {node.name: node for node in merged.graph_def.node}


def layer(graph_def, scope, x, *, transposed=None):
    """tanh(x · W) of one variable W, with names below a scope."""
    add(graph_def.node, f"{scope}/read", "ReadVariableOp", "W", dtype=FLOAT)
    options = {} if transposed is None else {"transpose_a": transposed}
    add(graph_def.node, f"{scope}/mul", "MatMul", x, f"{scope}/read", T=FLOAT, **options)
    return add(graph_def.node, f"{scope}/tanh", "Tanh", f"{scope}/mul", T=FLOAT)


@pytest.fixture
def graph_def():
    made = new_graph()
    made.versions.producer = 27
    add(made.node, "x", "Placeholder", dtype=FLOAT)
    add(made.node, "W", "VarHandleOp", dtype=FLOAT)
    return made


def test_the_same_computation_of_two_graphs_stands_once(graph_def):
    layer(graph_def, "a", "x")
    other = new_graph()
    other.CopyFrom(graph_def)
    add(other.node, "a/tanh/Identity", "Identity", "a/tanh", T=FLOAT)
    layer(other, "b", "a/tanh/Identity")
    merged = merge(part(graph_def, {"one": "a/tanh"}, X), part(other, {"same": "a/tanh/Identity", "two": "b/tanh"}, X))
    assert merged.tensors["one"] == merged.tensors["same"] == "a/tanh:0"
    assert shown(merged) == {
        "a/read": ("ReadVariableOp", "variable_0:0"),
        "a/mul": ("MatMul", "input_0:0", "a/read:0"),
        "a/tanh": ("Tanh", "a/mul:0"),
        "b/mul": ("MatMul", "a/tanh:0", "a/read:0"),
        "b/tanh": ("Tanh", "b/mul:0"),
    }
    assert merged.inputs == {"input_0": Input(name="x", dtype="float32")}
    assert merged.variables == {"variable_0": "W"}
    assert merged.graph_def.versions.producer == 27


@pytest.mark.parametrize("changed", ["attribute", "operand", "variable", "type", "constant"])
def test_what_differs_is_not_merged(graph_def, changed):
    other = new_graph()
    other.CopyFrom(graph_def)
    for made in (graph_def, other):
        constant(made.node, "c", [2.0 if made is other and changed == "constant" else 1.0], ())
        layer(made, "a", "x" if made is graph_def or changed != "operand" else "c", transposed=False)
        add(made.node, "end", "AddV2", "a/tanh", "c", T=FLOAT)
    mul = next(node for node in other.node if node.name == "a/mul")
    if changed == "attribute":
        mul.attr["transpose_a"].b = True
    if changed == "type":
        mul.op = "BatchMatMul"
    if changed == "variable":
        add(other.node, "V", "VarHandleOp", dtype=FLOAT)
        next(node for node in other.node if node.name == "a/read").input[:] = ["V"]
    merged = merge(part(graph_def, {"one": "end"}, X), part(other, {"two": "end"}, X))
    assert merged.tensors["one"] != merged.tensors["two"]


def test_an_attribute_that_the_file_leaves_out_has_its_default(graph_def):
    layer(graph_def, "a", "x")
    layer(graph_def, "b", "x", transposed=False)
    layer(graph_def, "c", "x", transposed=True)
    merged = merge(part(graph_def, {"a": "a/tanh", "b": "b/tanh", "c": "c/tanh"}, X))
    assert merged.tensors["a"] == merged.tensors["b"] != merged.tensors["c"]
    assert "transpose_a" in nodes(merged)["a/mul"].attr


def test_attributes_for_the_runtime_do_not_count_and_are_left_out(graph_def):
    layer(graph_def, "a", "x")
    layer(graph_def, "b", "x")
    graph_def.node[-1].attr["_output_shapes"].i = 3
    merged = merge(part(graph_def, {"a": "a/tanh", "b": "b/tanh"}, X))
    assert merged.tensors["a"] == merged.tensors["b"]


def test_operations_with_a_state_are_never_the_same_one_but_reads_are(graph_def):
    constant(graph_def.node, "shape", [1.0], (1,))
    for name in ("a", "b"):
        add(graph_def.node, name, "RandomUniform", "shape", dtype=FLOAT, T=INT32)
    add(graph_def.node, "sum", "AddV2", "a", "b", T=FLOAT)
    merged = merge(part(graph_def, {"sum": "sum"}), part(graph_def, {"again": "sum"}))
    assert [node.op for node in merged.graph_def.node].count("RandomUniform") == 4
    assert merged.tensors["sum"] != merged.tensors["again"]
    found = [node for node in merged.graph_def.node if node.op == "AddV2"]
    assert all(len(set(node.input)) == 2 for node in found)


def test_names_that_are_taken_are_numbered():
    graph_def = new_graph()
    add(graph_def.node, "x", "Placeholder", dtype=FLOAT)
    add(graph_def.node, "input_0", "Neg", "x", T=FLOAT)
    other = new_graph()
    add(other.node, "x", "Placeholder", dtype=FLOAT)
    add(other.node, "input_0", "Abs", "x", T=FLOAT)
    add(other.node, "input_0_2", "Neg", "input_0", T=FLOAT)
    merged = merge(part(graph_def, {"one": "input_0"}, X), part(other, {"two": "input_0_2"}, X))
    assert shown(merged) == {
        "input_0_1": ("Neg", "input_0:0"),
        "input_0_2": ("Abs", "input_0:0"),
        "input_0_2_1": ("Neg", "input_0_2:0"),
    }


def test_outputs_of_functions_are_counted_through_all_arguments():
    graph_def = new_graph()
    function = Function(graph_def, "f", ["x"])
    function.op("Split", "x", name="split")
    function.returns(y=function.op("Neg", "split:rest:0", name="neg"), z="split:first:0")
    graph = FlatGraph.of_function(graph_def, "f", [])
    whole = Part(
        graph=graph,
        inputs={graph.inputs[0]: Input(name="x", dtype="float32")},
        variables={},
        outputs={"y": graph.outputs[0], "z": graph.outputs[1], "x": FlatGraph.tensor(graph, graph.root.owner("x"))},
    )
    merged = merge(whole)
    assert shown(merged)["neg"] == ("Neg", "split:1")
    assert merged.tensors == {"y": "neg:0", "z": "split:0", "x": "input_0:0"}


def with_loop(*, body="Neg"):
    graph_def = new_graph()
    add(graph_def.node, "x", "Placeholder", dtype=FLOAT)
    inner = Function(graph_def, "inner", ["a"])
    inner.returns(y=inner.op("MatMul", "a", "a", name="mul"))
    outer = Function(graph_def, "outer", ["a"])
    outer.returns(y=outer.op(body, outer.op("call_by_name", "a", name="named"), name="end"))
    named = Function(graph_def, "call_by_name", ["a"])
    named.returns(y=named.call("inner", "a")[0])
    Function(graph_def, "not_called", ["a"]).returns(y="a")
    add(graph_def.node, "loop", "While", "x", body="outer", cond="outer", T=[FLOAT])
    return graph_def


def test_functions_of_loops_come_along_with_what_they_call_and_no_others():
    merged = merge(part(with_loop(), {"y": "loop"}, X), part(with_loop(), {"z": "loop"}, X))
    functions = {function.signature.name: function for function in merged.graph_def.library.function}
    assert sorted(functions) == ["call_by_name", "inner", "outer"]
    assert "transpose_a" in functions["inner"].node_def[0].attr


def test_a_function_that_the_graph_calls_by_its_name_comes_along():
    graph_def = with_loop()
    add(graph_def.node, "called", "call_by_name", "x")
    merged = merge(part(graph_def, {"y": "called"}, X))
    assert sorted(function.signature.name for function in merged.graph_def.library.function) == [
        "call_by_name",
        "inner",
    ]


def test_two_different_functions_of_one_name_are_refused():
    with pytest.raises(ValueError, match="different functions outer"):
        merge(part(with_loop(), {"y": "loop"}, X), part(with_loop(body="Abs"), {"z": "loop"}, X))


def test_an_output_that_two_parts_compute_is_computed_in_one_way(graph_def):
    for op in ("Tanh", "Abs"):
        add(graph_def.node, op, op, "x", T=FLOAT)
    same, other = {"y": "Tanh"}, {"y": "Abs"}
    assert merge(part(graph_def, same, X), part(graph_def, same, X)).tensors == {"y": "Tanh:0"}
    with pytest.raises(ValueError, match="it computes y once more, in another way"):
        merge(part(graph_def, same, X), part(graph_def, other, X))


def test_an_operation_that_is_not_known_is_named(graph_def):
    add(graph_def.node, "y", "unknown_op", "x")
    with pytest.raises(ValueError, match="the operation unknown_op"):
        merge(part(graph_def, {"y": "y"}, X))


def test_a_placeholder_that_nobody_feeds_is_named():
    graph_def = new_graph()
    Function(graph_def, "f", ["x", "w"]).returns(y="w")
    graph = FlatGraph.of_function(graph_def, "f", [])
    with pytest.raises(ValueError, match="reads w, which is neither an input nor a variable"):
        merge(Part(graph=graph, inputs={}, variables={}, outputs={"y": graph.outputs[0]}))


def test_a_node_that_stands_for_an_input_gives_its_first_output_only(graph_def):
    add(graph_def.node, "split", "Split", "x", T=FLOAT)
    for number in range(2):
        add(graph_def.node, f"tanh_{number}", "Tanh", f"split:{number}", T=FLOAT)
    first, second = (part(graph_def, {"y": f"tanh_{number}"}, X) for number in range(2))
    first, second = (
        replace(one, inputs={one.outputs["y"].node.inputs[0].node: Input("ids", "int32")}) for one in (first, second)
    )
    assert shown(merge(first))["tanh_0"] == ("Tanh", "input_0:0")
    with pytest.raises(ValueError, match="takes output 1 of split, whose first output stands for an input"):
        merge(second)


def test_a_loop_of_tensorflow_1_is_refused(graph_def):
    add(graph_def.node, "merge", "Merge", "x", "next", T=FLOAT)
    add(graph_def.node, "next", "NextIteration", "merge", T=FLOAT)
    with pytest.raises(ValueError, match="feeds itself"):
        merge(part(graph_def, {"y": "next"}, X))


def test_a_condition_of_tensorflow_1_is_refused_if_control_inputs_alone_choose_a_branch(graph_def):
    add(graph_def.node, "switch", "Switch", "x", "x", T=FLOAT)
    add(graph_def.node, "neg", "Neg", "switch:1", T=FLOAT)
    add(graph_def.node, "abs", "Abs", "switch", T=FLOAT)
    constant(graph_def.node, "one", [1.0], ())
    add(graph_def.node, "both", "Merge", "neg", "abs", T=FLOAT)
    add(graph_def.node, "free", "Merge", "neg", "one", T=FLOAT)
    assert shown(merge(part(graph_def, {"y": "both"}, X)))["both"] == ("Merge", "neg:0", "abs:0")
    with pytest.raises(ValueError, match="condition at free"):
        merge(part(graph_def, {"y": "free"}, X))


def test_operations_that_stop_gradients_stay_in_a_differentiable_graph(graph_def):
    add(graph_def.node, "stop", "StopGradient", "x", T=FLOAT)
    add(graph_def.node, "same", "Identity", "stop", T=FLOAT)
    add(graph_def.node, "neg", "Neg", "same", T=FLOAT)
    assert shown(merge(part(graph_def, {"y": "neg"}, X))) == {"neg": ("Neg", "input_0:0")}
    assert shown(merge(part(graph_def, {"y": "neg"}, X), differentiable=True)) == {
        "stop": ("StopGradient", "input_0:0"),
        "neg": ("Neg", "stop:0"),
    }


def test_tensors_take_the_place_of_nodes(graph_def):
    end = layer(graph_def, "a", "x")
    add(graph_def.node, "neg", "Neg", end, T=FLOAT)
    whole = part(graph_def, {"y": "neg"}, X)
    tanh = next(node for node in whole.graph.nodes if node.op == "Tanh")
    dropped = Part(**{**vars(whole), "instead": {tanh: tanh.inputs[0].node.inputs[0]}})
    assert shown(merge(dropped)) == {"neg": ("Neg", "input_0:0")}


DRAWS = {
    "RandomUniform": ("StatelessRandomUniformV2", {"dtype": FLOAT, "T": INT64}, INT64),
    "StatelessRandomUniform": ("StatelessRandomUniformV2", {}, INT32),
    "StatelessRandomUniformV2": ("StatelessRandomUniformV2", {"dtype": FLOAT, "Tshape": INT64}, INT64),
    "RandomStandardNormal": ("StatelessRandomNormalV2", {"dtype": DOUBLE, "T": INT32}, INT32),
}


@pytest.mark.parametrize("op", DRAWS)
def test_random_numbers_are_drawn_by_number_from_their_own_distribution(op):
    keyed, attributes, of_shape = DRAWS[op]
    graph_def = new_graph()
    add(graph_def.node, "shape", "Placeholder", dtype=INT32)
    for name in ("a", "b", "c"):
        add(graph_def.node, name, op, "shape", "shape", "shape", **attributes)
    drawn = part(graph_def, {"a": "a", "b": "b", "c": "c"}, {"shape": "int32"})
    numbers = dict(zip((tensor.node for tensor in drawn.outputs.values()), (3, 4, 3), strict=True))
    merged = merge(Part(**{**vars(drawn), "draws": numbers}))
    assert merged.tensors == {"a": "a:0", "b": "b:0", "c": "a:0"}
    written = nodes(merged)
    a, b = written["a"], written["b"]
    assert a.op == b.op == keyed
    assert a.attr["dtype"].type == attributes.get("dtype", FLOAT)
    assert a.attr["Tshape"].type == of_shape
    assert (a.input[0], *a.input[2:]) == (b.input[0], *b.input[2:]) == ("input_0:0", "counter:0", "philox:0")
    keys = [written[node.input[1].removesuffix(":0")].attr["value"].tensor for node in (a, b)]
    assert [(key.dtype, list(key.uint64_val)) for key in keys] == [(UINT64, [3]), (UINT64, [4])]


def test_other_random_operations_stay_as_they_are():
    graph_def = new_graph()
    constant(graph_def.node, "shape", [1.0], (1,))
    add(graph_def.node, "a", "RandomUniformInt", "shape", "shape", "shape", Tout=INT32, T=INT32)
    whole = part(graph_def, {"a": "a"})
    merged = merge(Part(**{**vars(whole), "draws": {whole.outputs["a"].node: 0}}))
    assert shown(merged)["a"] == ("RandomUniformInt", "shape:0", "shape:0", "shape:0")


def test_tensors_can_be_fed_where_they_are_read_and_are_still_computed(graph_def):
    layer(graph_def, "fed_0", layer(graph_def, "a", "x"))
    add(graph_def.node, "fed_0", "Neg", "x", T=FLOAT)
    merged = merge(part(graph_def, {"one": "a/tanh", "two": "fed_0/tanh", "three": "fed_0"}, X))
    fed = fed_with(merged, {"a/tanh:0": Input(name="one", dtype="float64")})
    assert shown(fed)["fed_0/mul"] == ("MatMul", "fed_0_1:0", "a/read:0")
    assert fed.tensors == merged.tensors
    assert fed.inputs == {**merged.inputs, "fed_0_1": Input(name="one", dtype="float64")}
    assert shown(merged)["fed_0/mul"] == ("MatMul", "a/tanh:0", "a/read:0")


def test_variables_can_be_fed(graph_def):
    add(graph_def.node, "E", "VarHandleOp", dtype=FLOAT)
    add(graph_def.node, "ids", "Placeholder", dtype=INT32)
    add(graph_def.node, "rows", "ResourceGather", "E", "ids", dtype=FLOAT, Tindices=INT32)
    layer(graph_def, "a", "rows")
    add(graph_def.node, "kept", "ReadVariableOp", "E", dtype=FLOAT)
    whole = part(graph_def, {"y": "a/tanh", "E": "kept"}, {"ids": "int32"})
    fed = with_variables_as_inputs(merge(whole), "float64")
    assert not fed.variables
    free = {given: f"{name}:0" for name, given in fed.inputs.items()}
    assert free.keys() == {
        Input(name="ids", dtype="int32"),
        Input(name="E", dtype="float64"),
        Input(name="W", dtype="float64"),
    }
    embedding, weight = (free[Input(name=name, dtype="float64")] for name in ("E", "W"))
    found = shown(fed)
    assert found["rows"] == ("GatherV2", embedding, "input_0:0", "rows/axis:0")
    assert found["a/mul"] == ("MatMul", "rows:0", weight)
    assert fed.tensors == {"y": "a/tanh:0", "E": embedding}
    attributes = {key: value.type for key, value in nodes(fed)["rows"].attr.items() if value.type}
    assert attributes == {"Tparams": FLOAT, "Tindices": INT32, "Taxis": INT32}


def test_a_variable_that_a_loop_takes_cannot_be_fed():
    graph_def = with_loop()
    add(graph_def.node, "W", "VarHandleOp", dtype=FLOAT)
    graph_def.node[1].input.append("W")
    with pytest.raises(ValueError, match=r"While \(loop\) takes the handle"):
        with_variables_as_inputs(merge(part(graph_def, {"y": "loop"}, X)))
