"""A graph with its function calls opened, call by call: every operation at every spot where it is run.

Nothing is copied or rewritten. A body knows the body that calls it, so that a tensor can be followed through the
arguments of a call to the caller, and through the results of a call into the called body. The address of a spot
consists of the names of the calls that lead to an operation, and its own name. Tensors have TensorFlow's names:
`node`, `node:1` in a GraphDef; `node:output:0`, `argument` in a FunctionDef
(tensorflow/core/framework/function.proto).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from surgery import limits
from surgery.graphs.functions import functions_of
from surgery.graphs.ordering import feeds_first

CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
Address = tuple[str, ...]
"""Names of the calls that lead to an operation, outermost first, and its own name."""


@dataclass(frozen=True, kw_only=True)
class Following:
    """The part of a graph that is followed.

    Attributes:
        opens: Whether the body that a node calls is followed instead of the node, given the functions by name.
        controls: Whether control inputs are followed, which carry no data.
    """

    opens: Callable[[Any, Mapping[str, Any]], bool]
    controls: bool


def is_call(node: Any, functions: Mapping[str, Any]) -> bool:
    """True for every call, even of a function that is missing: following such a call is an error."""
    return node.op in CALLS


def can_be_written_out(node: Any, functions: Mapping[str, Any]) -> bool:
    """True for a call of a known function without attributes to fill in (such as `T`, `N`)."""
    if node.op not in CALLS or (name := node.attr["f"].func.name) not in functions:
        return False
    return not functions[name].signature.attr


DATA = Following(opens=is_call, controls=False)
"""Follows data only."""
EVERYTHING = Following(opens=can_be_written_out, controls=True)
"""Follows data and control inputs: also the operations that another one waits for, and those without results."""


class Port(NamedTuple):
    """An output of an operation in its body, or a free argument of the root.

    Attributes:
        body: The body that the operation stands in.
        name: The operation's name in that body.
        port: The output argument and the index in it, "output:0", as in a FunctionDef; or the index alone.
    """

    body: Body
    name: str
    port: str

    @property
    def is_free(self) -> bool:
        """Whether it is a free argument of the root."""
        return f"{self.name}:{self.port}".removesuffix(":0") in self.body.arguments


class Body:
    """A graph, or a function's body as one call runs it; the bodies of its own calls are opened on demand.

    Attributes:
        graph: The graph to which all its bodies belong.
        nodes: The operations by name, calls included.
        arguments: The caller's tensor for each of the function's arguments; "" in the root, where arguments are free.
        results: The tensors that it returns.
        controls: The operations that have run when it is done.
        caller: The body that calls it; None for the root.
        call: The node of the caller that calls it.
        functions: Names of the functions that are being called, outermost first.
        address: Names of the calls that lead to it.
        called: Names of its calls.
        calls: The bodies of its calls, by the name of the call.
    """

    def __init__(
        self,
        graph: Graph,
        nodes: Sequence[Any],
        *,
        arguments: Mapping[str, str],
        results: Sequence[str] = (),
        controls: Sequence[str] = (),
        caller: Body | None = None,
        call: Any = None,
        functions: tuple[str, ...] = (),
    ) -> None:
        self.graph, self.nodes = graph, {node.name: node for node in nodes}
        self.arguments, self.results = arguments, tuple(results)
        self.controls = tuple(controls) if graph.following.controls else ()
        self.caller, self.call, self.functions = caller, call, functions
        self.address: Address = () if caller is None else (*caller.address, call.name)
        self.calls: Mapping[str, Body] = _Calls(self)
        self.called = frozenset(self.calls)
        self._owners: dict[str, Port] = {}

    def walk(self) -> Iterator[tuple[Body, Any]]:
        """Every operation with the body that it stands in, in file order. Calls are replaced by their bodies."""
        for name, node in self.nodes.items():
            if name in self.calls:
                yield from self.calls[name].walk()
            else:
                yield self, node

    def owner(self, reference: str) -> Port:
        """The operation's output behind the name of a tensor in this body, seen through calls.

        Raises ValueError for a call that returns its own result, KeyError or IndexError for a missing function or
        result.
        """
        passed: dict[tuple[Body, str], None] = {}
        body = self
        while (owner := body._owners.get(reference)) is None:
            name, _, port = reference.partition(":")
            argument = reference.removesuffix(":0")
            handed_in = argument in body.arguments
            if body.caller is None if handed_in else name not in body.called:
                owner = body._owners[reference] = Port(body, name, port or "0")
                break
            if (body, reference) in passed:
                raise ValueError(f"{reference} is the result of a call that only returns its own result")
            passed[body, reference] = None
            if handed_in and body.caller is not None:
                body, reference = body.caller, body.arguments[argument]
            else:
                body = body.calls[name]
                reference = body.results[int(port.rpartition(":")[2] or 0)]
        for passed_body, passed_reference in passed:
            passed_body._owners[passed_reference] = owner
        return owner

    def feeds(self, name: str) -> list[Port]:
        """The outputs that feed an operation of this body, seen through calls."""
        return [self.owner(feed) for feed in self.nodes[name].input if feed[0] != "^"]

    def waits_for(self, node: Any) -> list[str]:
        """Names of operations in this body that must run before a node: its control inputs, if they are followed."""
        return [feed[1:] for feed in node.input if feed[0] == "^"] if self.graph.following.controls else []


class Graph:
    """The data that all bodies of one graph share.

    Attributes:
        graph_def: The GraphDef.
        following: The part of it that is followed.
        functions: Its functions by name.
    """

    def __init__(self, graph_def: Any, following: Following) -> None:
        self.graph_def, self.following = graph_def, following
        self.functions = functions_of(graph_def)
        self._calls: dict[str, tuple[Any, ...]] = {}

    def calls(self, function: str) -> tuple[Any, ...]:
        """The operations of a function whose bodies are followed."""
        if function not in self._calls:
            self._calls[function] = self.followed(self.functions[function].node_def)
        return self._calls[function]

    def followed(self, nodes: Sequence[Any]) -> tuple[Any, ...]:
        """Those of some operations whose bodies are followed."""
        return tuple(node for node in nodes if self.following.opens(node, self.functions))

    def check(self, nodes: Sequence[Any], calls: Sequence[Any]) -> None:
        """Looks at what the calls in a body will open, before the first is opened.

        A few functions that each call the next one twice expand beyond any memory. Every function is looked at once.
        Raises LimitError for too many operations or too long a chain of calls, ValueError for a function that calls
        itself. A function that is missing is an error when it is followed, not here.
        """
        operations: dict[str, int] = {}
        depth: dict[str, int] = {}
        for name in self._called_first(calls, operations):
            called = [call.attr["f"].func.name for call in self.calls(name)]
            within = [inner for inner in called if inner in self.functions]
            operations[name] = len(self.functions[name].node_def) + sum(operations[inner] for inner in within)
            depth[name] = 1 + max((depth[inner] for inner in within), default=0)
        doing = "opening the functions that the graph calls"
        limits.check("call_depth", max(depth.values(), default=0), doing)
        opened = sum(operations.get(call.attr["f"].func.name, 0) for call in calls)
        limits.check("inlined_nodes", len(nodes) + opened, doing)

    def _called_first(self, calls: Sequence[Any], done: Mapping[str, int]) -> Iterator[str]:
        """Names of all functions that calls lead to, each after those that it calls."""
        try:
            yield from feeds_first(self._called(calls), lambda name: self._called(self.calls(name)), done)
        except ValueError as error:
            raise ValueError(str(error).replace("feeds itself", "calls itself")) from error

    def _called(self, calls: Sequence[Any]) -> list[str]:
        names = dict.fromkeys(call.attr["f"].func.name for call in calls)
        return [name for name in names if name in self.functions]


class _Calls(Mapping[str, Body]):
    """The bodies that a body calls, by the name of the call. Each is opened when it is asked for."""

    def __init__(self, body: Body) -> None:
        self._body = body
        graph = body.graph
        calls = graph.calls(body.functions[-1]) if body.functions else graph.followed(list(body.nodes.values()))
        if body.caller is None:
            graph.check(list(body.nodes.values()), calls)
        self._bodies: dict[str, Body | None] = {call.name: None for call in calls}

    def __iter__(self) -> Iterator[str]:
        return iter(self._bodies)

    def __len__(self) -> int:
        return len(self._bodies)

    def __contains__(self, name: object) -> bool:
        return name in self._bodies

    def __getitem__(self, name: str) -> Body:
        body = self._bodies[name]
        if body is None:
            body = self._bodies[name] = _enter(self._body, self._body.nodes[name])
        return body


def tree_of_graph(graph_def: Any, arguments: Sequence[str] = (), controls: Sequence[str] = ()) -> Body:
    """The root of a whole GraphDef. `arguments` are nodes that stand for tensors from outside."""
    nodes = [node for node in graph_def.node if node.name not in set(arguments)]
    return Body(Graph(graph_def, EVERYTHING), nodes, arguments=dict.fromkeys(arguments, ""), controls=controls)


def tree_of_function(graph_def: Any, name: str, following: Following = EVERYTHING) -> Body:
    """The root of a function in a GraphDef's library, with free arguments. Raises KeyError for a missing function."""
    graph = Graph(graph_def, following)
    function = graph.functions[name]
    arguments = {argument.name: "" for argument in function.signature.input_arg}
    return Body(graph, function.node_def, arguments=arguments, functions=(name,), **_returned(function))


def opened(root: Body) -> Body:
    """The same root, after every call has been opened. Raises ValueError when a function calls itself."""
    bodies = [root]
    while bodies:
        bodies.extend(bodies.pop().calls.values())
    return root


def _enter(caller: Body, call: Any) -> Body:
    name = call.attr["f"].func.name
    if name in caller.functions:
        raise ValueError(f"the function {name} calls itself")
    function = caller.graph.functions[name]
    inputs = [feed for feed in call.input if feed[0] != "^"]
    return Body(
        caller.graph,
        function.node_def,
        arguments={arg.name: feed for arg, feed in zip(function.signature.input_arg, inputs, strict=True)},
        caller=caller,
        call=call,
        functions=(*caller.functions, name),
        **_returned(function),
    )


def _returned(function: Any) -> dict[str, Any]:
    """A function's results in order, and the operations that it must have run."""
    results = [function.ret[result.name] for result in function.signature.output_arg]
    return {"results": results, "controls": list(function.control_ret.values())}
