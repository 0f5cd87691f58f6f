"""A flat view of a graph: function calls are followed inwards, so that every node has its real inputs.

It is a view of `graphs.calls` that only shows data. Control inputs are left out, and functions that do not lead to an
output are not opened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from surgery.graphs.calls import DATA, Body, Graph, Port, tree_of_function
from surgery.graphs.names import scoped
from surgery.graphs.op_types import WRITES
from surgery.graphs.ordering import feeds_first
from surgery.graphs.reach import descendants

VARIABLES = frozenset({"VarHandleOp", "VariableV2", "Variable"})
LOOPS = frozenset({"Enter", "RefEnter", "NextIteration"})
"""Operations with which a tensor enters a loop of TensorFlow 1, or its next round."""


class Tensor(NamedTuple):
    """An output of a node.

    Attributes:
        node: The node.
        port: The output argument and the index in it, "output:0"; or the index alone, "0".
    """

    node: Node
    port: str


class Node:
    """An operation, or the placeholder of a free argument.

    Attributes:
        path: Its name below the scopes of the calls that lead to it; for an argument, its name or its variable's path.
        op: Its type; for an argument "Placeholder", or that of the operation that makes the variable.
        proto: Its NodeDef; None for an argument.
        body: The body in which it stands; None for an argument.
    """

    __slots__ = ("_graph", "_inputs", "body", "op", "path", "proto")

    def __init__(
        self, path: str, op: str, proto: Any = None, body: Body | None = None, graph: FlatGraph | None = None
    ) -> None:
        self.path, self.op, self.proto, self.body, self._graph = path, op, proto, body, graph
        self._inputs: tuple[Tensor, ...] | None = None

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The tensors that feed this node, seen through calls."""
        if self._inputs is None:
            feeds = self.body.feeds(self.proto.name) if self.body is not None else ()
            self._inputs = tuple(map(self._graph.tensor, feeds)) if self._graph is not None else ()
        return self._inputs

    @property
    def attr(self) -> Any:
        """The attributes of its NodeDef."""
        return self.proto.attr

    def __repr__(self) -> str:
        return f"{self.op}({self.path})"


def nodes_behind(tensors: Sequence[Tensor]) -> tuple[Node, ...]:
    """Every operation from which some tensors are computed, see `FlatGraph.nodes`."""
    found: dict[Node, None] = {}
    stack = [tensor.node for tensor in reversed(tensors)]
    while stack:
        node = stack.pop()
        if node not in found and node.proto is not None:
            found[node] = None
            stack.extend(feed.node for feed in node.inputs)
    return tuple(found)


class FlatGraph:
    """A function, or a GraphDef, as one flat graph with inputs, variables and outputs.

    Attributes:
        root: The graph with its calls.
        inputs: The placeholders of the function's own arguments, in order.
        variables: The placeholder of each captured variable's handle, by the variable's path.
        outputs: The results, in order.
    """

    def __init__(
        self, root: Body, free: Mapping[str, Node], *, inputs: int, variables: Sequence[str], outputs: Sequence[str]
    ) -> None:
        """`free` holds a placeholder for each argument, inputs first; `variables` are the arguments for variables."""
        self.root, self._free = root, free
        self._nodes: dict[tuple[Body, str], Node] = {}
        self._tensors: dict[Port, Tensor] = {}
        self._scopes: dict[Body, str] = {}
        self.inputs = tuple(free.values())[:inputs]
        self.variables = {free[name].path: free[name] for name in variables}
        self.outputs = tuple(self.tensor(root.owner(name)) for name in outputs)

    @classmethod
    def of_function(cls, graph_def: Any, function_name: str, captures: Sequence[str | None]) -> FlatGraph:
        """The graph of a concrete function whose last arguments are bound to `captures` (variable paths)."""
        root = tree_of_function(graph_def, function_name, DATA)
        names = list(root.arguments)
        split = len(names) - len(captures)
        free = {name: Node(name, "Placeholder") for name in names[:split]}
        bound = dict(zip(names[split:], captures, strict=True))
        free.update({name: Node(path or name, "VarHandleOp") for name, path in bound.items()})
        variables = [name for name, path in bound.items() if path is not None]
        return cls(root, free, inputs=split, variables=variables, outputs=root.results)

    @classmethod
    def of_graph_def(cls, graph_def: Any, inputs: Sequence[str], outputs: Sequence[str]) -> FlatGraph:
        """The part of a TF1 graph between tensors, given by name. Its variables are all variables of the graph."""
        free = {name.removesuffix(":0"): Node(name, "Placeholder") for name in inputs}
        count = len(free)
        held = {node.name: Node(node.name, node.op) for node in graph_def.node if node.op in VARIABLES}
        root = Body(Graph(graph_def, DATA), graph_def.node, arguments=dict.fromkeys(free | held, ""))
        return cls(root, free | held, inputs=count, variables=list(held), outputs=outputs)

    @classmethod
    def of_whole_graph_def(cls, graph_def: Any) -> FlatGraph:
        """All that a TF1 graph of unknown purpose computes, except for optimisers, savers and assignments.

        Loops are not flat: what is computed in a loop, or from its results, is left out.
        """
        looped = descendants(graph_def.node, [node.name for node in graph_def.node if node.op in LOOPS])
        readers = [n for n in graph_def.node if not n.op.startswith(WRITES) and n.name not in looped]
        consumed = {name.partition(":")[0] for node in readers for name in node.input}
        return cls.of_graph_def(graph_def, (), [node.name for node in readers if node.name not in consumed])

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """Every operation from which an output is computed, in called bodies as well. Calls themselves are left out."""
        return nodes_behind(self.outputs)

    @cached_property
    def order(self) -> dict[Node, int]:
        """A number for each node that is larger than those of all nodes that feed it.

        Raises ValueError for a graph that feeds itself.
        """
        numbers: dict[Node, int] = {}
        for node in feeds_first(self.nodes, lambda node: [feed.node for feed in node.inputs], numbers):
            numbers[node] = len(numbers)
        return numbers

    def check_order(self) -> None:
        """Raises ValueError for a graph that feeds itself."""
        _ = self.order

    @cached_property
    def consumers(self) -> dict[Node, list[tuple[Node, int]]]:
        """For each node, the nodes that take one of its outputs, with the position of that input."""
        found: dict[Node, list[tuple[Node, int]]] = {}
        for node in self.nodes:
            for position, tensor in enumerate(node.inputs):
                found.setdefault(tensor.node, []).append((node, position))
        return found

    def tensor(self, port: Port) -> Tensor:
        """The tensor at a port of the root or of a body below it."""
        found = self._tensors.get(port)
        if found is None:
            found = self._tensors[port] = self._tensor(*port)
        return found

    def _tensor(self, body: Body, name: str, output: str) -> Tensor:
        if body is self.root and (free := self._free.get(f"{name}:{output}".removesuffix(":0"))) is not None:
            return Tensor(free, "0")
        node = self._nodes.get((body, name))
        if node is None:
            if body not in self._scopes:
                self._scopes[body] = scoped(body.address, "")
            proto = body.nodes[name]
            node = self._nodes[body, name] = Node(self._scopes[body] + name, proto.op, proto, body, self)
        return Tensor(node, output)
