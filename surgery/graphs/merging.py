"""Several graphs as one GraphDef, in which every distinct computation stands once.

Two operations are the same one if type, attributes and operands are the same; names, scopes and calls do not count. The
signatures of an export repeat its encoder: merged, they compute it once, and two outputs that are computed in the same
way become the same tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from surgery.graphs.fingerprints import see_through
from surgery.graphs.flat import FlatGraph, Node, Tensor
from surgery.graphs.functions import called_functions, reachable
from surgery.graphs.op_types import output_index
from surgery.graphs.ordering import feeds_first

PHILOX = 1
"""The number of the algorithm Philox (tensorflow/core/framework/rng_alg.h)."""
DT_INT32, DT_UINT64 = 3, 23


class Input(NamedTuple):
    """An input of a graph.

    Attributes:
        name: Its meaning, by which it is the same input in every part that has it.
        dtype: Its dtype by TensorFlow's name.
    """

    name: str
    dtype: str


@dataclass(frozen=True, kw_only=True)
class Part:
    """A flat graph, and the tensors that are wanted of it.

    Attributes:
        graph: The graph.
        inputs: The input for which each placeholder stands.
        variables: The name of each variable by the placeholder of its handle.
        outputs: The wanted tensors, by the names under which they are returned.
        instead: Tensors that take the place of nodes, such as a dropout's data that of its result.
        draws: A number for each random operation that is to draw the same numbers wherever it has the same number.
    """

    graph: FlatGraph
    inputs: Mapping[Node, Input]
    variables: Mapping[Node, str]
    outputs: Mapping[str, Tensor]
    instead: Mapping[Node, Tensor] = field(default_factory=dict)
    draws: Mapping[Node, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Merged:
    """Graphs as one.

    Attributes:
        graph_def: A GraphDef without calls, each operation after those that feed it.
        inputs: The inputs, by the free name that stands for each.
        variables: The name of each variable, by the free name that stands for its handle.
        tensors: The name of the tensor behind each output, by the output's name.
    """

    graph_def: Any
    inputs: Mapping[str, Input]
    variables: Mapping[str, str]
    tensors: Mapping[str, str]


def fed_with(merged: Merged, fed: Mapping[str, Input]) -> Merged:
    """The graph with inputs in place of tensors, by the tensor's name, wherever these are read.

    Where such a tensor is wanted itself, it is still computed.
    """
    graph_def = type(merged.graph_def)()
    graph_def.CopyFrom(merged.graph_def)
    names = {tensor: f"fed_{number}" for number, tensor in enumerate(fed)}
    for node in graph_def.node:
        node.input[:] = [f"{names[feed]}:0" if feed in names else feed for feed in node.input]
    return replace(merged, graph_def=graph_def, inputs={**merged.inputs, **{names[t]: fed[t] for t in fed}})


class Merging:
    """The graph that parts are added to. `definition` returns an operation's OpDef by its type."""

    def __init__(self, graph_def: Any, definition: Callable[[str], Any]) -> None:
        """`graph_def` is an empty GraphDef, which is filled."""
        self._graph_def, self._definition = graph_def, definition
        self._names: dict[Any, str] = {}
        self._inputs: dict[Input, str] = {}
        self._variables: dict[str, str] = {}
        self._taken: set[str] = set()
        self._functions: dict[str, bytes] = {}
        self._tensors: dict[str, str] = {}

    def add(self, part: Part) -> None:
        """Adds a part. Raises ValueError for a graph that feeds itself or whose functions contradict another part's."""
        source = part.graph.root.graph.graph_def
        if not self._graph_def.versions.producer:
            self._graph_def.versions.CopyFrom(source.versions)
        _Adding(self, part).run()

    def result(self) -> Merged:
        """All parts as one graph."""
        return Merged(
            graph_def=self._graph_def,
            inputs={name: given for given, name in self._inputs.items()},
            variables={name: variable for variable, name in self._variables.items()},
            tensors=dict(self._tensors),
        )

    def input(self, given: Input) -> str:
        """The free name that stands for an input."""
        if given not in self._inputs:
            self._inputs[given] = self.unused(f"input_{len(self._inputs)}")
        return self._inputs[given]

    def variable(self, name: str) -> str:
        """The free name that stands for a variable."""
        if name not in self._variables:
            self._variables[name] = self.unused(f"variable_{len(self._variables)}")
        return self._variables[name]

    def unused(self, name: str) -> str:
        """The name, or if it is taken, one with a number after it."""
        found, number = name, 0
        while found in self._taken:
            number += 1
            found = f"{name}_{number}"
        self._taken.add(found)
        return found

    def operation(self, name: str, op: str, inputs: list[str], attributes: Mapping[str, Any], graph: Any) -> str:
        """The name of the operation of this type on these inputs. It is added if there is none."""
        attributes = {key: value for key, value in attributes.items() if not key.startswith("_")}
        serialized = tuple((key, attributes[key].SerializeToString(deterministic=True)) for key in sorted(attributes))
        key = (op, tuple(inputs), serialized)
        if key not in self._names:
            node = self._graph_def.node.add(name=self.unused(name), op=op, input=inputs)
            for attribute, value in attributes.items():
                node.attr[attribute].CopyFrom(value)
            if called_functions(node):
                self._add_functions(graph.library, node)
            self._names[key] = node.name
        return self._names[key]

    def output(self, name: str, tensor: str) -> None:
        """Returns a tensor under a name."""
        self._tensors[name] = tensor

    def definition(self, op: str, graph: Any) -> Any:
        """The OpDef of an operation, or the signature of a function that is called by its name."""
        return next((f.signature for f in graph.library.function if f.signature.name == op), None) or self._definition(
            op
        )

    def _add_functions(self, library: Any, node: Any) -> None:
        for function in reachable(library, [node]):
            name, body = function.signature.name, function.SerializeToString(deterministic=True)
            if self._functions.setdefault(name, body) != body:
                raise ValueError(f"two of its graphs have different functions {name}")
            if name not in {known.signature.name for known in self._graph_def.library.function}:
                self._graph_def.library.function.add().CopyFrom(function)


class _Adding:
    """One part on its way into a merged graph."""

    def __init__(self, merging: Merging, part: Part) -> None:
        self._merging, self._part = merging, part
        self._source = part.graph.root.graph.graph_def
        self._written: dict[Node, str] = {}

    def run(self) -> None:
        for name, tensor in self._part.outputs.items():
            tensor = self._behind(tensor)
            for node in feeds_first([tensor.node], self._feeding, self._written):
                self._written[node] = self._write(node)
            self._merging.output(name, self._reference(tensor))

    def _feeding(self, node: Node) -> list[Node]:
        return [feed.node for feed in self._inputs(node)]

    def _inputs(self, node: Node) -> list[Tensor]:
        inputs = node.inputs[:1] if node in self._part.draws else node.inputs
        return [self._behind(feed) for feed in inputs]

    def _behind(self, tensor: Tensor) -> Tensor:
        tensor = see_through(tensor)
        while tensor.node in self._part.instead:
            tensor = see_through(self._part.instead[tensor.node])
        return tensor

    def _write(self, node: Node) -> str:
        if node in self._part.inputs:
            return self._merging.input(self._part.inputs[node])
        if node in self._part.variables:
            return self._merging.variable(self._part.variables[node])
        if node.proto is None:
            raise ValueError(f"it reads {node.path}, which is neither an input nor a variable")
        inputs = [self._reference(feed) for feed in self._inputs(node)]
        if node in self._part.draws:
            return self._draw(node, inputs)
        return self._merging.operation(node.path, node.op, inputs, dict(node.proto.attr), self._source)

    def _reference(self, tensor: Tensor) -> str:
        node, port = tensor
        if node.proto is None or node in self._part.draws:
            return f"{self._written[node]}:0"
        index = (
            int(port)
            if port.isdigit()
            else output_index(port, node.proto, self._merging.definition(node.op, self._source))
        )
        return f"{self._written[node]}:{index}"

    def _draw(self, node: Node, shape: list[str]) -> str:
        """Uniform numbers from 0 below 1 that depend on the part's number for the operation and on their place only.

        The numbers of [batch, seq, hidden] are those of [batch * seq, hidden]: Philox counts elements.
        """
        value = type(self._source)().node.add().attr["value"].__class__
        key = self._constant(f"{node.path}/key", DT_UINT64, "uint64_val", [self._part.draws[node]], [1])
        counter = self._constant("counter", DT_UINT64, "uint64_val", [0, 0], [2])
        algorithm = self._constant("philox", DT_INT32, "int_val", [PHILOX], [])
        attr = node.proto.attr
        attributes = {"dtype": attr["dtype"], "Tshape": attr["T"] if "T" in attr else value(type=DT_INT32)}
        inputs = [*shape, key, counter, algorithm]
        return self._merging.operation(node.path, "StatelessRandomUniformV2", inputs, attributes, self._source)

    def _constant(self, name: str, dtype: int, field_name: str, values: list[int], shape: list[int]) -> str:
        scratch = type(self._source)().node.add()
        scratch.attr["dtype"].type = dtype
        tensor = scratch.attr["value"].tensor
        tensor.dtype = dtype
        for size in shape:
            tensor.tensor_shape.dim.add(size=size)
        getattr(tensor, field_name).extend(values)
        tensor.tensor_shape.SetInParent()
        return f"{self._merging.operation(name, 'Const', [], dict(scratch.attr), self._source)}:0"
