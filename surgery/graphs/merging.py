"""Several graphs as one GraphDef, in which every distinct computation stands once.

Two operations are the same one if type, attributes and operands are the same; names, scopes and calls do not count. The
signatures of an export repeat its encoder: merged, they compute it once, and two outputs that are computed in the same
way become the same tensor. Operations with a state, such as those that draw random numbers, are never the same one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from surgery.graphs.dataflow import upstream
from surgery.graphs.draws import draw, is_draw
from surgery.graphs.fingerprints import see_through
from surgery.graphs.flat import FlatGraph, Node, Tensor
from surgery.graphs.functions import called_functions, reachable
from surgery.graphs.names import unused
from surgery.graphs.op_types import READS, STOPS, output_index
from surgery.graphs.ordering import feeds_first


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
        inputs: The input for which each placeholder stands, or another node, whose own inputs are then left out.
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


class Merging:
    """The graph that parts are added to. `definition` returns an operation's OpDef by its type, or None.

    With `differentiable`, operations that stop gradients stay in the graph; they do not change its values.
    """

    def __init__(self, graph_def: Any, definition: Callable[[str], Any], *, differentiable: bool = False) -> None:
        """`graph_def` is an empty GraphDef, which is filled."""
        self._graph_def, self._definition = graph_def, definition
        self.stops = STOPS if differentiable else frozenset()
        self._definitions: dict[str, Any] = {}
        self._defaults: dict[str, dict[str, bytes]] = {}
        self._names: dict[Any, str] = {}
        self._inputs: dict[Input, str] = {}
        self._variables: dict[str, str] = {}
        self._taken: set[str] = set()
        self._functions: dict[str, bytes] = {}
        self._tensors: dict[str, str] = {}

    def add(self, part: Part) -> None:
        """Adds a part.

        Raises ValueError for a graph that feeds itself, that needs an operation without a definition, in which a branch
        of a condition is chosen by control inputs alone, whose functions contradict another part's, that has an output
        of the same name as another part, computed in another way, or that takes another output of a node which stands
        for an input.
        """
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
            self._inputs[given] = unused(f"input_{len(self._inputs)}", self._taken)
        return self._inputs[given]

    def variable(self, name: str) -> str:
        """The free name that stands for a variable."""
        if name not in self._variables:
            self._variables[name] = unused(f"variable_{len(self._variables)}", self._taken)
        return self._variables[name]

    def operation(self, name: str, op: str, inputs: list[str], attributes: Mapping[str, Any], graph: Any) -> str:
        """The name of the operation of this type on these inputs. It is added if there is none, or if it has a state.

        A file may leave out attributes that have their defaults: they are written, or float32 could not be re-typed.
        """
        definition = self.definition(op, graph)
        serialized = {key: value.SerializeToString(deterministic=True) for key, value in attributes.items()}
        written = {key: value for key, value in serialized.items() if not key.startswith("_")}
        serialized = {**self._defaults_of(op, definition), **written}
        key = (op, tuple(inputs), tuple(sorted(serialized.items())))
        if key not in self._names or (definition.is_stateful and op not in READS):
            node = self._graph_def.node.add(name=unused(name, self._taken), op=op, input=inputs)
            for attribute, value in serialized.items():
                node.attr[attribute].MergeFromString(value)
            if called_functions(node) or self._definition(op) is None:
                self._add_functions(graph, node)
            self._names[key] = node.name
        return self._names[key]

    def output(self, name: str, tensor: str) -> None:
        """Returns a tensor under a name. Raises ValueError for a name that another tensor has."""
        if self._tensors.setdefault(name, tensor) != tensor:
            raise ValueError(f"it computes {name} once more, in another way")

    def definition(self, op: str, graph: Any) -> Any:
        """The OpDef of an operation, or the signature of a function that is called by its name. Raises ValueError."""
        if op not in self._definitions:
            functions = (function.signature for function in graph.library.function)
            found = self._definition(op) or next((found for found in functions if found.name == op), None)
            if found is None:
                raise ValueError(f"it needs the operation {op}, which is not known")
            self._definitions[op] = found
        return self._definitions[op]

    def _defaults_of(self, op: str, definition: Any) -> Mapping[str, bytes]:
        """The attributes of an operation that have a default, with it."""
        if op not in self._defaults:
            attributes = [attribute for attribute in definition.attr if attribute.HasField("default_value")]
            self._defaults[op] = {a.name: a.default_value.SerializeToString(deterministic=True) for a in attributes}
        return self._defaults[op]

    def _add_functions(self, graph: Any, node: Any) -> None:
        for function in reachable(graph.library, [node]):
            name, body = function.signature.name, function.SerializeToString(deterministic=True)
            if name not in self._functions:
                written = self._graph_def.library.function.add()
                written.CopyFrom(function)
                for inner in written.node_def:
                    for key, value in self._defaults_of(inner.op, self.definition(inner.op, graph)).items():
                        if key not in inner.attr:
                            inner.attr[key].MergeFromString(value)
            if self._functions.setdefault(name, body) != body:
                raise ValueError(f"two of its graphs have different functions {name}")


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
        if node in self._part.inputs:
            return []
        inputs = node.inputs[:1] if self._is_drawn(node) else node.inputs
        return [self._behind(feed) for feed in inputs]

    def _behind(self, tensor: Tensor) -> Tensor:
        stops = self._merging.stops
        tensor = see_through(tensor, stops)
        while tensor.node in self._part.instead:
            tensor = see_through(self._part.instead[tensor.node], stops)
        return tensor

    def _is_drawn(self, node: Node) -> bool:
        return node in self._part.draws and is_draw(node)

    def _write(self, node: Node) -> str:
        if node in self._part.inputs:
            return self._merging.input(self._part.inputs[node])
        if node in self._part.variables:
            return self._merging.variable(self._part.variables[node])
        if node.proto is None:
            raise ValueError(f"it reads {node.path}, which is neither an input nor a variable")
        inputs = [self._reference(feed) for feed in self._inputs(node)]
        if self._is_drawn(node):
            number = self._part.draws[node]
            return draw(node, number, inputs[0], partial(self._merging.operation, graph=self._source))
        if node.op == "Merge":
            _refuse_branches_without_data(node)
        return self._merging.operation(node.path, node.op, inputs, dict(node.proto.attr), self._source)

    def _reference(self, tensor: Tensor) -> str:
        node, port = tensor
        if node.proto is None or self._is_drawn(node):
            return f"{self._written[node]}:0"
        index = (
            int(port)
            if port.isdigit()
            else output_index(port, node.proto, self._merging.definition(node.op, self._source))
        )
        if index and node in self._part.inputs:
            raise ValueError(f"it takes output {index} of {node.path}, whose first output stands for an input")
        return f"{self._written[node]}:{index}"


def _refuse_branches_without_data(merge: Node) -> None:
    """Raises ValueError for a result of tf.cond in TensorFlow 1 that reads no Switch.

    Only a control input ties such a result to its branch, and a flat graph has none: it would be there in both cases.
    """
    for feed in merge.inputs:
        if all(node.op != "Switch" for node in upstream(feed)):
            raise ValueError(f"a branch of the condition at {merge.path} is chosen by control inputs alone")
