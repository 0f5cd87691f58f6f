"""Fingerprints: equal for the same computation however it is named and nested, different for any other."""

from __future__ import annotations

import pytest
from tensorboard.compat.proto.op_def_pb2 import OpDef

from surgery.graphs.fingerprints import Fingerprints, see_through
from surgery.graphs.flat import FlatGraph
from tests.support.graph_defs import FLOAT, add
from tests.support.synthetic import Function, new_graph


def fingerprint(build, labels=None, captures=("w",)) -> bytes:
    """The fingerprint of the result of a function of `x` and the variable `w`, whose body `build` writes."""
    graph_def = new_graph()
    function = Function(graph_def, "f", ["x", *captures])
    function.returns(result=build(function, graph_def))
    graph = FlatGraph.of_function(graph_def, "f", list(captures))
    return Fingerprints(graph, {0: "x"} if labels is None else labels).of(graph.outputs[0])


def plain(function, graph_def, **names):
    return function.op("Tanh", function.op("AddV2", function.op("Mul", "x", "w"), function.constant(0.5)))


def test_names_do_not_count():
    def renamed(function, graph_def):
        product = function.op("Mul", "x", "w", name="scope/other")
        return function.op("Tanh", function.op("AddV2", product, function.constant(0.5, "half"), name="b"), name="a")

    assert fingerprint(renamed) == fingerprint(plain)


def test_calls_and_identities_do_not_count():
    def nested(function, graph_def):
        inner = Function(graph_def, "inner", ["a", "b"])
        inner.returns(y=inner.op("Mul", "a", inner.op("Identity", "b", port="output:0")))
        (product,) = function.call("inner", "x", "w")
        return function.op("Identity", function.op("Tanh", function.op("AddV2", product, function.constant(0.5))))

    assert fingerprint(nested) == fingerprint(plain)


def changed_operation(function, graph_def):
    return function.op("Sigmoid", function.op("AddV2", function.op("Mul", "x", "w"), function.constant(0.5)))


def changed_constant(function, graph_def):
    return function.op("Tanh", function.op("AddV2", function.op("Mul", "x", "w"), function.constant(0.25)))


def changed_order(function, graph_def):
    return function.op("Tanh", function.op("AddV2", function.op("Mul", "w", "x"), function.constant(0.5)))


def changed_depth(function, graph_def):
    return function.op("Tanh", plain(function, graph_def))


def changed_port(function, graph_def):
    return function.op("Tanh", function.op("AddV2", function.op("Mul", "x", "w", port="y:1"), function.constant(0.5)))


def changed_output(function, graph_def):
    return function.op("Tanh", function.op("AddV2", function.op("Mul", "x", "w", port="z:0"), function.constant(0.5)))


def changed_attribute(function, graph_def):
    result = plain(function, graph_def)
    function.proto.node_def[0].attr["transpose"].b = True
    return result


@pytest.mark.parametrize(
    "other",
    [
        changed_operation,
        changed_constant,
        changed_order,
        changed_depth,
        changed_port,
        changed_output,
        changed_attribute,
    ],
)
def test_any_other_computation_has_another_fingerprint(other):
    assert fingerprint(other) != fingerprint(plain)


def test_an_output_is_the_same_in_a_function_and_in_a_graph_where_the_operation_is_known():
    definitions = {op: OpDef(name=op) for op in ("TopKV2", "Tanh")}
    for op, names in (("TopKV2", ("values", "indices")), ("Tanh", ("y",))):
        for name in names:
            definitions[op].output_arg.add(name=name, type=FLOAT)

    def prints(output, number, known):
        graph_def = new_graph()
        function = Function(graph_def, "f", ["x"])
        function.returns(result=function.op("Tanh", function.op("TopKV2", "x", port=f"{output}:0")))
        add(graph_def.node, "x", "Placeholder")
        add(graph_def.node, "top", "TopKV2", "x")
        add(graph_def.node, "tanh", "Tanh", f"top:{number}")
        graphs = FlatGraph.of_function(graph_def, "f", []), FlatGraph.of_graph_def(graph_def, ["x:0"], ["tanh:0"])
        return [Fingerprints(graph, {}, definitions=known).of(graph.outputs[0]) for graph in graphs]

    for number, output in enumerate(("values", "indices")):
        in_function, in_graph = prints(output, number, definitions)
        assert in_function == in_graph
        in_function, in_graph = prints(output, 1 - number, definitions)
        assert in_function != in_graph
    assert prints("values", 0, {})[0] != prints("indices", 1, {})[0]


@pytest.mark.parametrize("listed", [False, True])
def test_the_bodies_that_an_operation_runs_count_and_their_names_do_not(listed):
    def branching(names, constant):
        """A branch that runs another one, which adds a constant; the names are those of the two functions."""

        def build(function, graph_def):
            inner = Function(graph_def, names[1], ["a"])
            inner.returns(y=inner.op("AddV2", "a", inner.constant(constant, "half"), name="sum"))
            outer = Function(graph_def, names[0], ["a"])
            outer.returns(y=outer.op("If", "a", "a", name="if", port="output:0"))
            result = function.op("If", "x", "x", port="output:0")
            for owner, name in ((outer, names[1]), (function, names[0])):
                attribute = owner.proto.node_def[-1].attr["then_branch"]
                (attribute.list.func.add() if listed else attribute.func).name = name
            return result

        return build

    own = fingerprint(branching(("then", "within"), 0.5))
    assert own == fingerprint(branching(("then_12", "within_7"), 0.5))
    assert own != fingerprint(branching(("then", "within"), 0.25))


def test_attributes_that_only_annotate_do_not_count():
    def annotated(function, graph_def):
        result = plain(function, graph_def)
        function.proto.node_def[0].attr["_output_shapes"].i = 3
        return result

    assert fingerprint(annotated) == fingerprint(plain)


def test_other_variables_and_other_inputs_count():
    def of_v(function, graph_def):
        return function.op("Tanh", function.op("AddV2", function.op("Mul", "x", "v"), function.constant(0.5)))

    assert fingerprint(of_v, captures=("v",)) != fingerprint(plain)
    assert fingerprint(plain, {0: "mask"}) != fingerprint(plain, {0: "ids"})


def test_a_deep_graph_does_not_outgrow_the_stack():
    def deep(function, graph_def):
        tensor = "x"
        for _ in range(5000):
            tensor = function.op("Tanh", tensor)
        return tensor

    assert len(fingerprint(deep)) > 8


def test_identity_n_passes_on_the_tensor_of_the_same_number():
    graph_def = new_graph()
    function = Function(graph_def, "f", ["x", "y"])
    function.op("IdentityN", "x", "y", name="both")
    function.returns(second="both:output:1")
    graph = FlatGraph.of_function(graph_def, "f", [])
    assert see_through(graph.outputs[0]).node is graph.inputs[1]


@pytest.mark.parametrize("op", ["Neg", "Identity"])
def test_a_graph_that_feeds_itself_is_refused(op):
    graph_def = new_graph()
    function = Function(graph_def, "f", ["x"])
    function.op(op, "b:output:0", name="a")
    function.op(op, "a:output:0", name="b")
    function.returns(y=function.op("Tanh", "a:output:0"))
    graph = FlatGraph.of_function(graph_def, "f", [])
    with pytest.raises(ValueError, match=r"feeds itself|passes on its own output"):
        Fingerprints(graph, {}).of(graph.outputs[0])
    with pytest.raises(ValueError, match="feeds itself"):
        graph.order  # noqa: B018
