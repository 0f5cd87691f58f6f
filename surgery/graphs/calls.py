"""A graph with its function calls opened, call by call: every operation in every place, under a name of its own.

Unlike the flat view of `graph`, which follows what feeds an output, nothing is left out here: control inputs, what an
operation does beside returning values, and operations that lead to no output. A place is an address: the names of the
calls that lead to an operation, and its own. Its name is the shortest that no other operation has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from surgery.graphs.flat import CALLS

Address = tuple[str, ...]
"""Names of the calls that lead to an operation, outermost first, and its own name."""


class Body:
    """A graph, or a function's body in the place of one call.

    `arguments` maps a function's arguments to the caller's tensors (to nothing in the root, where they are free).
    `results` are what it returns, `controls` what has run when it is done; `calls` are the bodies of its own calls.
    """

    def __init__(
        self,
        nodes: Sequence[Any],
        library: Mapping[str, Any],
        *,
        arguments: Mapping[str, str],
        results: Sequence[str] = (),
        controls: Sequence[str] = (),
        caller: Body | None = None,
        call: Any = None,
        functions: tuple[str, ...] = (),
    ) -> None:
        self.nodes = {node.name: node for node in nodes}
        self.arguments, self.results, self.controls = arguments, tuple(results), tuple(controls)
        self.caller, self.call = caller, call
        self.address: Address = () if caller is None else (*caller.address, call.name)
        self.calls = {
            node.name: _enter(self, node, library, functions) for node in nodes if _can_be_opened(node, library)
        }

    def walk(self) -> Iterator[tuple[Body, Any]]:
        """Every operation with the body that it stands in, in file order, calls replaced by their bodies."""
        for name, node in self.nodes.items():
            if name in self.calls:
                yield from self.calls[name].walk()
            else:
                yield self, node

    def owner(self, reference: str) -> Source:
        """What is behind the name of a tensor in this body, seen through calls."""
        body = self
        while True:
            name, _, port = reference.partition(":")
            if name in body.arguments:
                if body.caller is None:
                    return Source(body, name, "0")
                body, reference = body.caller, body.arguments[name]
            elif name in body.calls:
                body = body.calls[name]
                reference = body.results[int(port.rpartition(":")[2] or 0)]
            else:
                return Source(body, name, port or "0")


class Source(NamedTuple):
    """An output of an operation in its body, as its file counts it; or a free argument of the root."""

    body: Body
    name: str
    port: str

    @property
    def is_free(self) -> bool:
        return self.name in self.body.arguments


def tree_of_graph(graph_def: Any, arguments: Sequence[str] = (), controls: Sequence[str] = ()) -> Body:
    """A whole GraphDef; `arguments` are nodes that stand for tensors from outside."""
    nodes = [node for node in graph_def.node if node.name not in set(arguments)]
    return Body(nodes, functions_of(graph_def), arguments=dict.fromkeys(arguments, ""), controls=controls)


def tree_of_function(graph_def: Any, name: str) -> Body:
    """A function of a GraphDef's library; its arguments are free."""
    library = functions_of(graph_def)
    function = library[name]
    arguments = {argument.name: "" for argument in function.signature.input_arg}
    controls = list(function.control_ret.values())
    results = [function.ret[result.name] for result in function.signature.output_arg]
    return Body(function.node_def, library, arguments=arguments, results=results, controls=controls, functions=(name,))


def functions_of(graph_def: Any) -> dict[str, Any]:
    """A GraphDef's functions by name."""
    return {function.signature.name: function for function in graph_def.library.function}


def called_functions(node: Any) -> tuple[str, ...]:
    """Names of the functions that an operation calls, whatever the attributes are called."""
    names: list[str] = []
    for key in sorted(node.attr):
        value = node.attr[key]
        if value.HasField("func"):
            names.append(value.func.name)
        names += [function.name for function in value.list.func]
    return tuple(names)


def unique_names(root: Body) -> dict[Address, str]:
    """A name for every operation: below the scopes of the calls that lead to it, as `inspect` names its evidence.

    Where two operations would share a name, the outer one has it, and the inner one gets the names of its calls as
    well, as few as needed: `lstm/Identity` and `lstm/PartitionedCall/Identity`. The order of the file plays no part.
    """
    found: dict[Address, str] = {}
    taken = set(root.arguments)
    level = [root]
    while level:
        for body in level:
            for name in body.nodes.keys() - body.calls.keys():
                chosen = next(candidate for candidate in _candidates(body.address, name) if candidate not in taken)
                taken.add(chosen)
                found[(*body.address, name)] = chosen
        level = [body.calls[name] for body in level for name in sorted(body.calls)]
    return found


def scoped(calls: Address, name: str, opened: int = 0) -> str:
    """A name below the scopes of the calls that lead to it; the innermost `opened` calls with their own names."""
    prefix = ""
    for position, call in enumerate(calls):
        scope = call if position >= len(calls) - opened else call.rpartition("/")[0]
        prefix += f"{scope}/" if scope else ""
    return prefix + name


def _candidates(calls: Address, name: str) -> Iterator[str]:
    yield from (scoped(calls, name, opened) for opened in range(len(calls) + 1))
    number = 1
    while True:
        yield f"{scoped(calls, name, len(calls))}_{number}"
        number += 1


def _can_be_opened(node: Any, library: Mapping[str, Any]) -> bool:
    """Whether a node is a call of a known function that has no attributes to fill in (`T`, `N`)."""
    if node.op not in CALLS or (name := node.attr["f"].func.name) not in library:
        return False
    return not library[name].signature.attr


def _enter(caller: Body, call: Any, library: Mapping[str, Any], functions: tuple[str, ...]) -> Body:
    name = call.attr["f"].func.name
    if name in functions:
        raise ValueError(f"the function {name} calls itself")
    function = library[name]
    inputs = [feed for feed in call.input if feed[0] != "^"]
    arguments = {arg.name: feed for arg, feed in zip(function.signature.input_arg, inputs, strict=True)}
    return Body(
        function.node_def,
        library,
        arguments=arguments,
        results=[function.ret[result.name] for result in function.signature.output_arg],
        controls=list(function.control_ret.values()),
        caller=caller,
        call=call,
        functions=(*functions, name),
    )
