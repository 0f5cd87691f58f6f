"""Graphs in double precision: types, constants, where variables are widened, and operations without a kernel."""

from __future__ import annotations

import numpy as np
import pytest

from surgery.formats.tensors import to_array
from surgery.graphs.double import in_double, prune, scalars
from tests.support.graph_defs import DOUBLE, FLOAT, INT32, RESOURCE, add, constant
from tests.support.synthetic import Function, new_graph


@pytest.fixture
def graph_def():
    made = new_graph()
    made.versions.producer = 27
    return made


def read(graph_def, name, handle="handle", dtype=FLOAT):
    return f"{add(graph_def.node, name, 'ReadVariableOp', f'{handle}:0', dtype=dtype)}:0"


def nodes(twin):
    return {node.name: node for node in twin.graph_def.node}


def shown(twin):
    return {node.name: (node.op, *node.input) for node in twin.graph_def.node}


CONSTANTS = {
    "scalar": ([0.1], (), False),
    "packed scalar": ([0.1], (), True),
    "one element": ([0.1], (1, 1), True),
    "packed": ([0.1, -1e-45, 3e38, np.inf, -0.0, 1 / 3], (2, 3), True),
    "listed": ([0.1, 0.2, 0.3], (3,), False),
    "one value for all": ([0.1], (4, 2), False),
    "the last for the rest": ([0.1, 0.7], (5,), False),
    "zeros": ([], (3,), False),
    "no elements": ([], (0, 4), False),
    "no elements, packed": ([], (0, 4), True),
}


@pytest.mark.parametrize("name", CONSTANTS)
def test_constants_are_widened_exactly(graph_def, name):
    values, shape, packed = CONSTANTS[name]
    constant(graph_def.node, "c", values, shape, packed=packed)
    expected = to_array(graph_def.node[0].attr["value"].tensor)
    (node,) = in_double(graph_def, {"c": "c:0"}).graph_def.node
    tensor = node.attr["value"].tensor
    found = to_array(tensor)
    assert node.attr["dtype"].type == tensor.dtype == DOUBLE
    assert found.dtype == np.float64
    assert found.shape == expected.shape == shape
    assert found.tobytes() == expected.astype(np.float64).tobytes()
    assert len(tensor.double_val) + len(tensor.tensor_content) // 8 == len(values)


def test_only_constants_of_one_element_are_scalars_and_get_exact_values(graph_def):
    third = float(np.float32(1 / 3))
    constant(graph_def.node, "scalar", [third], ())
    constant(graph_def.node, "packed", [third], (1,), packed=True)
    constant(graph_def.node, "all", [third], (4,))
    constant(graph_def.node, "two", [third, third], (2,))
    constant(graph_def.node, "other", [0.5], ())
    constant(graph_def.node, "none", [], (0,))
    inner = Function(graph_def, "f", [])
    inner.returns(y=inner.constant(0.25))
    names = [node.name for node in graph_def.node]
    add(graph_def.node, "loop", "While", "scalar:0", body="f", T=[FLOAT])
    twin = in_double(graph_def, {name: f"{name}:0" for name in [*names, "loop"]}, exact={third: 1 / 3, 0.25: 0.2})
    values = {name: to_array(nodes(twin)[name].attr["value"].tensor).tolist() for name in names}
    assert values == {
        "scalar": 1 / 3,
        "packed": [1 / 3],
        "all": [third] * 4,
        "two": [third] * 2,
        "other": 0.5,
        "none": [],
    }
    assert to_array(twin.graph_def.library.function[0].node_def[0].attr["value"].tensor) == 0.2
    assert scalars(graph_def) == (third, 0.5, 0.25)


def test_every_type_becomes_double_wherever_it_stands(graph_def):
    add(graph_def.node, "x", "Op", T=FLOAT, other=INT32, types=[FLOAT, INT32, FLOAT], f="f")
    call = graph_def.node[0].attr["f"].func.attr
    call["T"].type = FLOAT
    call["inner"].func.name = "g"
    call["inner"].func.attr["types"].list.type.extend([FLOAT, RESOURCE])
    listed = graph_def.node[0].attr["branches"].list.func.add(name="h")
    listed.attr["T"].type = FLOAT
    (node,) = in_double(graph_def, {"x": "x:0"}).graph_def.node
    assert (node.attr["T"].type, node.attr["other"].type) == (DOUBLE, INT32)
    assert list(node.attr["types"].list.type) == [DOUBLE, INT32, DOUBLE]
    func = node.attr["f"].func
    assert (func.name, func.attr["T"].type, func.attr["inner"].func.name) == ("f", DOUBLE, "g")
    assert list(func.attr["inner"].func.attr["types"].list.type) == [DOUBLE, RESOURCE]
    assert [(call.name, call.attr["T"].type) for call in node.attr["branches"].list.func] == [("h", DOUBLE)]
    assert graph_def.node[0].attr["T"].type == FLOAT


def test_a_variable_is_widened_where_it_is_computed_with_and_waits_for_the_other_operand(graph_def):
    constant(graph_def.node, "axes", [1.0], (2,))
    read(graph_def, "W")
    add(graph_def.node, "moved", "Transpose", "W:0", "axes:0", T=FLOAT)
    add(graph_def.node, "mul", "MatMul", "input:0", "moved:0", T=FLOAT)
    add(graph_def.node, "again", "MatMul", "moved:0", "mul:0", T=FLOAT)
    add(graph_def.node, "own", "Neg", "W:0", T=FLOAT)
    twin = in_double(graph_def, {"y": "again:0", "own": "own:0"})
    assert shown(twin) == {
        "axes": ("Const",),
        "W": ("ReadVariableOp", "handle:0"),
        "moved": ("Transpose", "W:0", "axes:0"),
        "mul/1/widened": ("Cast", "moved:0"),
        "mul": ("MatMul", "input:0", "mul/1/widened:0"),
        "again/0/widened": ("Cast", "moved:0", "^mul"),
        "again": ("MatMul", "again/0/widened:0", "mul:0"),
        "own/0/widened": ("Cast", "W:0"),
        "own": ("Neg", "own/0/widened:0"),
    }
    types = {name: {key: value.type for key, value in node.attr.items()} for name, node in nodes(twin).items()}
    assert types["W"] == {"dtype": FLOAT}
    assert types["moved"] == {"T": FLOAT}
    assert types["mul"] == {"T": DOUBLE}
    assert types["again/0/widened"] == {"SrcT": FLOAT, "DstT": DOUBLE}
    assert twin.graph_def.versions.producer == 27


def test_the_rows_of_a_table_are_widened_and_not_the_table(graph_def):
    add(graph_def.node, "rows", "ResourceGather", "handle:0", "ids:0", dtype=FLOAT, Tindices=INT32)
    add(graph_def.node, "sum", "AddV2", "rows:0", "rows:0", T=FLOAT)
    twin = in_double(graph_def, {"y": "sum:0"})
    assert shown(twin)["sum"] == ("AddV2", "sum/0/widened:0", "sum/1/widened:0")
    assert nodes(twin)["rows"].attr["dtype"].type == FLOAT


def test_a_variable_of_another_dtype_stays_as_it_is(graph_def):
    read(graph_def, "n", dtype=INT32)
    add(graph_def.node, "neg", "Neg", "n:0", T=INT32)
    assert shown(in_double(graph_def, {"y": "neg:0"}))["neg"] == ("Neg", "n:0")


def test_outputs_that_are_variables_and_inputs_are_widened(graph_def):
    read(graph_def, "W")
    twin = in_double(graph_def, {"W": "W:0", "x": "x:0", "ids": "ids:0"}, narrow=["x"])
    assert twin.tensors == {"W": "output_0/widened:0", "x": "output_1/widened:0", "ids": "ids:0"}
    assert shown(twin)["output_1/widened"] == ("Cast", "x:0")


def test_a_float32_input_is_widened_where_it_is_read_and_a_float64_one_is_not(graph_def):
    add(graph_def.node, "sum", "AddV2", "x:0", "wide:0", T=FLOAT)
    twin = in_double(graph_def, {"y": "sum:0"}, narrow=["x"])
    assert shown(twin) == {"sum/0/widened": ("Cast", "x:0"), "sum": ("AddV2", "sum/0/widened:0", "wide:0")}


def test_names_that_the_graph_has_already_are_not_used_again(graph_def):
    read(graph_def, "W")
    add(graph_def.node, "mul/1/widened", "Neg", "x:0", T=FLOAT)
    add(graph_def.node, "mul", "MatMul", "mul/1/widened:0", "W:0", T=FLOAT)
    add(graph_def.node, "output_0/widened", "Abs", "mul:0", T=FLOAT)
    add(graph_def.node, "end", "Neg", "output_0/widened:0", T=FLOAT)
    twin = in_double(graph_def, {"W": "W:0", "y": "end:0"})
    names = [node.name for node in twin.graph_def.node]
    assert len(set(names)) == len(names)
    assert shown(twin)["mul"] == ("MatMul", "mul/1/widened:0", "mul/1/widened_1:0")
    assert twin.tensors["W"] == "output_0/widened_1:0"


def with_loop(graph_def):
    """A loop whose body calls a function that reads a variable."""
    inner = Function(graph_def, "inner", ["h", "x"])
    inner.proto.signature.input_arg[0].type = RESOURCE
    inner.op("VarHandleOp", name="own", port="resource:0")
    inner.proto.node_def[-1].attr["dtype"].type = FLOAT
    inner.op("ReadVariableOp", "h", name="W", port="value:0")
    inner.proto.node_def[-1].attr["dtype"].type = FLOAT
    inner.op("Cast", "x", name="W/widened")
    inner.returns(y=inner.op("MatMul", "x", "W:value:0", name="mul"), W="W:value", z="x")
    inner.proto.node_def[-1].attr["T"].type = FLOAT
    outer = Function(graph_def, "outer", ["h", "x"])
    outer.proto.signature.input_arg[0].type = RESOURCE
    call = outer.call("inner", "h", "x")[0]
    outer.proto.node_def[-1].attr["Tin"].list.type.extend([RESOURCE, FLOAT])
    outer.returns(h="h", y=call)
    outer.proto.signature.output_arg[0].type = RESOURCE
    add(graph_def.node, "loop", "While", "handle:0", "x:0", body="outer", T=[RESOURCE, FLOAT])
    add(graph_def.node, "end", "Neg", "loop:1", T=FLOAT)
    return {"y": "end:0", "x": "x:0"}


def test_variables_are_widened_in_functions_too(graph_def):
    twin = in_double(graph_def, with_loop(graph_def), narrow=["x"])
    assert list(nodes(twin)["loop"].attr["T"].list.type) == [RESOURCE, DOUBLE]
    assert list(nodes(twin)["loop"].input) == ["handle:0", "loop/1/widened:0"]
    functions = {function.signature.name: function for function in twin.graph_def.library.function}
    inner = functions["inner"]
    assert [argument.type for argument in inner.signature.input_arg] == [RESOURCE, DOUBLE]
    assert {argument.type for argument in inner.signature.output_arg} == {DOUBLE}
    body = {node.name: node for node in inner.node_def}
    assert list(body["mul"].input) == ["x", "W/widened_1:y:0"]
    assert dict(inner.ret) == {"y": "mul:y:0", "W": "W/widened_1:y:0", "z": "x"}
    assert (body["W/widened_1"].op, *body["W/widened_1"].input) == ("Cast", "W:value:0")
    types = {name: {key: value.type for key, value in node.attr.items()} for name, node in body.items()}
    assert types["own"] == types["W"] == {"dtype": FLOAT}
    assert types["mul"] == {"T": DOUBLE}
    call = next(node for node in functions["outer"].node_def if "Tin" in node.attr)
    assert list(call.attr["Tin"].list.type) == [RESOURCE, DOUBLE]


def test_only_what_depends_on_an_operation_without_a_kernel_is_left_out_and_it_is_named(graph_def):
    add(graph_def.node, "fine", "Neg", "x:0", T=FLOAT)
    add(graph_def.node, "norm", "FusedNorm", "fine:0", T=FLOAT)
    add(graph_def.node, "other", "Single", "x:0", T=FLOAT)
    add(graph_def.node, "sum", "AddV2", "norm:1", "other:0", T=FLOAT)
    add(graph_def.node, "half", "Op", "fine:0", T=INT32)
    wanted = {name: f"{name}:0" for name in ("fine", "norm", "sum", "half")}
    lacking = {("FusedNorm", DOUBLE), ("Single", DOUBLE), ("Op", DOUBLE)}
    twin = in_double(graph_def, wanted, has_kernel=lambda node: (node.op, node.attr["T"].type) not in lacking)
    assert twin.lacking == {"norm": ("FusedNorm",), "sum": ("FusedNorm", "Single")}
    assert twin.tensors == {"fine": "fine:0", "half": "half:0"}
    assert sorted(nodes(twin)) == ["fine", "half"]


def test_a_loop_lacks_what_its_functions_lack(graph_def):
    twin = in_double(graph_def, with_loop(graph_def), narrow=["x"], has_kernel=lambda node: node.op != "MatMul")
    assert twin.lacking == {"y": ("MatMul",)}
    assert sorted(nodes(twin)) == ["output_1/widened"]


def test_a_function_that_calls_itself_does_not_go_on_for_ever(graph_def):
    inner = Function(graph_def, "inner", ["x"])
    inner.returns(y=inner.call("inner", inner.op("Neg", "x"))[0])
    add(graph_def.node, "loop", "While", "x:0", body="inner", T=[FLOAT])
    assert in_double(graph_def, {"y": "loop:0"}, has_kernel=lambda node: node.op != "Neg").lacking == {"y": ("Neg",)}


def test_what_is_not_wanted_is_left_out_and_what_is_waited_for_is_not(graph_def):
    for name, feeds in (("a", ["x:0"]), ("b", ["x:0", "^a"]), ("c", ["b:0"]), ("d", ["c:0"])):
        add(graph_def.node, name, "Op", *feeds)
    prune(graph_def, ["c:0", "x:0"])
    assert [node.name for node in graph_def.node] == ["a", "b", "c"]
