"""A graph with its calls written out: one GraphDef, in which every tensor can be fetched by name.

The part of the graph that its tree follows is written. If control inputs are followed, nothing is lost: effects of
operations still happen, in the same order. If a call waited for an operation, its body waits for it; if an operation
waited for a call, it waits for the operations that the body had to run. Without control inputs, only values are left.

While, If and similar operations stay, with their functions. Arguments become free names, which are bound when the graph
is imported. The OpDef of an operation says which output `name:output:1` is. A SavedModel's own list of OpDefs
(`stripped_op_list`) leaves out those that only functions use, so the caller looks them up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from surgery.graphs.calls import Address, Body, Port
from surgery.graphs.functions import reachable
from surgery.graphs.names import scoped, unique_names
from surgery.graphs.op_types import output_index

DROPPED = ("_class", "_output_shapes")
"""Beginnings of the names of attributes that are not written: those that name other nodes, or that an import sets."""


@dataclass(frozen=True, kw_only=True)
class Output:
    """An output of an operation in the root or in any body below it.

    Attributes:
        address: Names of the calls that lead to the operation, and its own name.
        index: The number of the output, counted through all output arguments.
    """

    address: Address
    index: int


@dataclass(frozen=True, kw_only=True)
class Flattened:
    """A graph with its calls written out.

    Attributes:
        graph_def: A GraphDef without calls.
        free: The arguments of the graph that it uses. It has no operations of these names.
        tensors: Names of the tensors that were asked for, in their order.
        controls: Names of the operations that must run even if no tensor needs them.
    """

    graph_def: Any
    free: frozenset[str]
    tensors: tuple[str, ...]
    controls: tuple[str, ...]


def flatten(root: Body, ports: Sequence[Port], definition: Callable[[str], Any]) -> Flattened:
    """Writes out the operations that tensors need, and those that the root must run.

    Args:
        root: The graph with its calls.
        ports: The tensors, of the root (`root.owner`) or of any body below it (`port_at`).
        definition: Returns an operation's OpDef by its type.
    """
    wiring = _Wiring(root, definition)
    graph_def = root.graph.graph_def
    result = type(graph_def)()
    result.versions.CopyFrom(graph_def.versions)
    for spot in wiring.needed(ports):
        wiring.write(spot, result.node.add())
    _copy_functions(graph_def.library, result)
    used = {feed.removeprefix("^").removesuffix(":0") for node in result.node for feed in node.input}
    return Flattened(
        graph_def=result,
        free=frozenset(root.arguments) & used,
        tensors=tuple(wiring.output(port) for port in ports),
        controls=wiring.controls(),
    )


def port_at(root: Body, output: Output) -> Port:
    """The port of an output. Raises KeyError for a call that does not exist."""
    body = root
    for call in output.address[:-1]:
        body = body.calls[call]
    return Port(body, output.address[-1], str(output.index))


def _copy_functions(library: Any, result: Any) -> None:
    """Adds the functions that are still called, with the gradients that are registered for them."""
    result.library.function.extend(reachable(library, result.node))
    kept = {function.signature.name for function in result.library.function}
    result.library.gradient.extend(
        gradient for gradient in library.gradient if {gradient.function_name, gradient.gradient_func} <= kept
    )
    result.library.registered_gradients.extend(
        gradient for gradient in library.registered_gradients if gradient.gradient_func in kept
    )


class _Spot(NamedTuple):
    """An operation of a body, or a moment of a called body.

    Attributes:
        body: The body.
        name: The operation's name; "" for a moment.
        done: For a moment, True if it is after the body is done, False if it is before the body starts.
    """

    body: Body
    name: str
    done: bool = False


class _Wiring:
    """The names, inputs and control inputs of operations in the graph without calls."""

    def __init__(self, root: Body, definition: Callable[[str], Any]) -> None:
        self._root, self._definition = root, definition
        self._names = unique_names(root)
        self._taken = {*self._names.values(), *root.arguments}
        self._moments: dict[_Spot, str] = {}
        self._waits = cache(self._has_to_wait)

    def needed(self, ports: Iterable[Port]) -> list[_Spot]:
        """All that must be written, found without recursion, because graphs can be deep. Loops do no harm."""
        needed: dict[_Spot, None] = {}
        stack = [*_spots(ports), *(_after(self._root, control) for control in self._root.controls)]
        while stack:
            spot = stack.pop()
            if spot not in needed:
                needed[spot] = None
                stack.extend(self._required(spot))
        return list(needed)

    def write(self, spot: _Spot, node: Any) -> None:
        """Fills in a node."""
        node.name, node.op = self._name(spot), "NoOp"
        if spot.name:
            proto = spot.body.nodes[spot.name]
            node.op = proto.op
            node.input.extend(self.output(port) for port in self._feeds(spot))
            for key, value in proto.attr.items():
                if not key.startswith(DROPPED):
                    node.attr[key].CopyFrom(value)
        node.input.extend(dict.fromkeys(f"^{self._name(before)}" for before in self._waits_for(spot)))

    def controls(self) -> tuple[str, ...]:
        """Names of the operations that the root must run."""
        return tuple(self._name(_after(self._root, control)) for control in self._root.controls)

    def output(self, port: Port) -> str:
        """The name of an operation's output in the GraphDef."""
        if port.is_free:
            return f"{port.name}:{port.port}"
        node = port.body.nodes[port.name]
        index = int(port.port) if port.port.isdigit() else output_index(port.port, node, self._op_def(node.op))
        return f"{self._name(_Spot(port.body, port.name))}:{index}"

    def _feeds(self, spot: _Spot) -> list[Port]:
        return spot.body.feeds(spot.name)

    def _op_def(self, op: str) -> Any:
        functions = self._root.graph.functions
        return functions[op].signature if op in functions else self._definition(op)

    def _name(self, spot: _Spot) -> str:
        address = spot.body.address
        if spot.name:
            return self._names[(*address, spot.name)]
        if spot not in self._moments:
            name = scoped(address[:-1], address[-1]) + ("/done" if spot.done else "/start")
            while name in self._taken:
                name += "_"
            self._taken.add(name)
            self._moments[spot] = name
        return self._moments[spot]

    def _required(self, spot: _Spot) -> Iterator[_Spot]:
        """The spots that must be written if this one is. A body is run as a whole or not at all."""
        yield from self._waits_for(spot)
        if spot.name:
            yield from _spots(self._feeds(spot))
        yield from (_after(spot.body, control) for control in spot.body.controls)

    def _waits_for(self, spot: _Spot) -> Iterator[_Spot]:
        """The spots that must have run before this one, besides those that feed it."""
        body = spot.body
        if spot.name:
            yield from self._controls(body, body.nodes[spot.name])
        elif spot.done:
            yield from (_after(body, control) for control in body.controls)
            yield from _spots(body.owner(result) for result in body.results)
        elif body.caller is not None:
            yield from self._controls(body.caller, body.call)

    def _controls(self, body: Body, node: Any) -> Iterator[_Spot]:
        """A node's control inputs. A node that nothing in its body feeds also waits for the start of its body."""
        yield from (_after(body, name) for name in body.waits_for(node))
        if self._waits(body) and all(feed.partition(":")[0] in body.arguments for feed in node.input):
            yield _Spot(body, "")

    def _has_to_wait(self, body: Body) -> bool:
        return body.caller is not None and any(True for _ in self._controls(body.caller, body.call))


def _spots(ports: Iterable[Port]) -> Iterator[_Spot]:
    return (_Spot(port.body, port.name) for port in ports if not port.is_free)


def _after(body: Body, name: str) -> _Spot:
    """The moment when an operation has run; for a call, when its body is done."""
    return _Spot(body.calls[name], "", done=True) if name in body.calls else _Spot(body, name)
