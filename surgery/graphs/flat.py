"""One flat view of a graph: function calls are followed inwards, so that what feeds what can simply be asked.

Nothing is copied or rewritten. A node knows the function body that it stands in and resolves its inputs on demand,
through the arguments of the call to the caller's tensors and through a call's results into the called body.
Encodings are TensorFlow's: `node`, `node:1` in a GraphDef; `node:output:0`, `argument` in a FunctionDef
(tensorflow/core/framework/function.proto). Control inputs carry no data and are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
VARIABLES = frozenset({"VarHandleOp", "VariableV2", "Variable"})
WRITES = (
    "Assign",
    "Apply",
    "ResourceApply",
    "Save",
    "Restore",
    "MergeV2",
    "NoOp",
    "Summary",
    "Print",
    "VarIsInit",
    "IsVariableInit",
)
"""Beginnings of the names of operations that do something to variables, or ask whether it was done."""


class Tensor(NamedTuple):
    """An output of a node: `port` is its output argument and index, "output:0"; "0" where the graph says no more."""

    node: Node
    port: str


class Node:
    """An operation. `path` is its name below the names of the calls that lead to it."""

    __slots__ = ("_body", "_inputs", "op", "path", "proto")

    def __init__(self, path: str, op: str, proto: Any, body: _Body | None) -> None:
        self.path, self.op, self.proto, self._body = path, op, proto, body
        self._inputs: tuple[Tensor, ...] | None = None

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The tensors that feed this node, seen through calls."""
        if self._inputs is None:
            names = self.proto.input if self._body is not None else ()
            resolve = self._body.resolve if self._body is not None else None
            self._inputs = tuple(resolve(name) for name in names if name[0] != "^") if resolve else ()
        return self._inputs

    @property
    def attr(self) -> Any:
        return self.proto.attr

    def __repr__(self) -> str:
        return f"{self.op}({self.path})"


class _Body:
    """A function body in the place of one call, or a whole GraphDef (no arguments)."""

    def __init__(
        self,
        nodes: Any,
        arguments: Mapping[str, Tensor],
        results: Any,
        prefix: str,
        library: Mapping[str, Any],
        callers: tuple[str, ...] = (),
    ) -> None:
        self.callers = callers
        self.arguments, self.results, self.prefix, self.library = arguments, results, prefix, library
        self.protos = {proto.name: proto for proto in nodes}
        self.nodes: dict[str, Node] = {}
        self.calls: dict[str, tuple[_Body, Any]] = {}

    def node(self, name: str) -> Node:
        if name not in self.nodes:
            proto = self.protos[name]
            self.nodes[name] = Node(self.prefix + name, proto.op, proto, self)
        return self.nodes[name]

    def resolve(self, name: str) -> Tensor:
        if (plain := name.removesuffix(":0")) in self.arguments:
            return self.arguments[plain]
        owner, _, port = name.partition(":")
        proto = self.protos[owner]
        if proto.op not in CALLS:
            return Tensor(self.node(owner), port or "0")
        body, function = self.enter(owner)
        index = int(port.rpartition(":")[2] or 0)
        return body.resolve(body.results[function.signature.output_arg[index].name])

    def enter(self, call: str) -> tuple[_Body, Any]:
        """The body that a call runs, with the call's inputs as its arguments."""
        if call not in self.calls:
            proto = self.protos[call]
            name = proto.attr["f"].func.name
            if name in self.callers:
                raise ValueError(f"the function {name} calls itself")
            function = self.library[name]
            inputs = (self.resolve(name) for name in proto.input if name[0] != "^")
            arguments = {arg.name: tensor for arg, tensor in zip(function.signature.input_arg, inputs, strict=False)}
            scope = call.rpartition("/")[0]
            prefix = f"{self.prefix}{scope}/" if scope else self.prefix
            self.calls[call] = (
                _Body(function.node_def, arguments, function.ret, prefix, self.library, (*self.callers, name)),
                function,
            )
        return self.calls[call]


class FlatGraph:
    """A function, or a GraphDef, as one flat graph with inputs, variables and outputs.

    `inputs` are the placeholders of the function's own arguments, in order; `variables` maps the path of a captured
    variable to the placeholder that stands for its handle; `outputs` are the results, in order.
    """

    def __init__(self, inputs: Sequence[Node], variables: Mapping[str, Node], outputs: Sequence[Tensor]) -> None:
        self.inputs, self.variables, self.outputs = tuple(inputs), dict(variables), tuple(outputs)

    @classmethod
    def of_function(cls, graph_def: Any, function_name: str, captures: Sequence[str | None]) -> FlatGraph:
        """The graph of a concrete function whose last arguments are bound to `captures` (variable paths)."""
        library = {function.signature.name: function for function in graph_def.library.function}
        function = library[function_name]
        names = [argument.name for argument in function.signature.input_arg]
        split = len(names) - len(captures)
        inputs = [Node(name, "Placeholder", None, None) for name in names[:split]]
        held = [
            Node(path or name, "VarHandleOp", None, None) for path, name in zip(captures, names[split:], strict=True)
        ]
        arguments = {name: Tensor(node, "0") for name, node in zip(names, [*inputs, *held], strict=True)}
        body = _Body(function.node_def, arguments, function.ret, "", library)
        outputs = [body.resolve(function.ret[argument.name]) for argument in function.signature.output_arg]
        variables = {path: node for path, node in zip(captures, held, strict=True) if path is not None}
        return cls(inputs, variables, outputs)

    @classmethod
    def of_graph_def(cls, graph_def: Any, inputs: Sequence[str], outputs: Sequence[str]) -> FlatGraph:
        """The part of a TF1 graph that leads from tensors to tensors, by name; its variables are those of the graph."""
        library = {function.signature.name: function for function in graph_def.library.function}
        feeds = {name.removesuffix(":0"): Node(name, "Placeholder", None, None) for name in inputs}
        held = {node.name: Node(node.name, node.op, None, None) for node in graph_def.node if node.op in VARIABLES}
        arguments = {name: Tensor(node, "0") for name, node in {**feeds, **held}.items()}
        body = _Body(graph_def.node, arguments, {}, "", library)
        return cls(list(feeds.values()), held, [body.resolve(name) for name in outputs])

    @classmethod
    def of_whole_graph_def(cls, graph_def: Any) -> FlatGraph:
        """All that a TF1 graph of unknown purpose computes, but for what it writes: optimisers, savers, assignments.

        A graph with loops is not flat: nothing of it is shown.
        """
        readers = [node for node in graph_def.node if not node.op.startswith(WRITES)]
        consumed = {name.partition(":")[0] for node in readers for name in node.input}
        loops = any(node.op == "NextIteration" for node in readers)
        ends = [] if loops else [node.name for node in readers if node.name not in consumed]
        return cls.of_graph_def(graph_def, (), ends)

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """Every operation from which an output is computed, called bodies included, calls themselves left out."""
        found: dict[Node, None] = {}
        stack = [tensor.node for tensor in reversed(self.outputs)]
        while stack:
            node = stack.pop()
            if node not in found and node.proto is not None:
                found[node] = None
                stack.extend(feed.node for feed in node.inputs)
        return tuple(found)

    @cached_property
    def order(self) -> dict[Node, int]:
        """A number for each node that is larger than those of all nodes that feed it."""
        found: dict[Node, int] = {}
        for root in self.nodes:
            stack = [root]
            while stack:
                node = stack[-1]
                missing = [feed.node for feed in node.inputs if feed.node not in found] if node not in found else []
                if missing:
                    stack.extend(missing)
                    continue
                found.setdefault(stack.pop(), len(found))
        return found

    @cached_property
    def consumers(self) -> dict[Node, list[tuple[Node, int]]]:
        """For each node, the nodes that take one of its outputs, with the position of that input."""
        found: dict[Node, list[tuple[Node, int]]] = {}
        for node in self.nodes:
            for position, tensor in enumerate(node.inputs):
                found.setdefault(tensor.node, []).append((node, position))
        return found
