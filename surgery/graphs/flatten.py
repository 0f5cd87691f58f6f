"""A graph with its calls written out: one GraphDef, from which a function that returns more can be traced.

Nothing is lost on the way: what an operation does beside returning values still happens, and in the same order. Where
a call waited for something, its body waits; where something waited for a call, it waits for what the body had to run.
While, If and their like stay, with their functions. Arguments become free names, to be bound when it is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from surgery.graphs.calls import Address, Body, Source, functions_of, scoped, unique_names
from surgery.graphs.inline import reachable
from surgery.graphs.op_types import output_index

DROPPED = frozenset({"_class", "_output_shapes"})
"""Attributes that name other nodes, and those that are worked out again on import."""


@dataclass(frozen=True)
class Output:
    """An output of an operation, wherever it stands; outputs count through all output arguments."""

    address: Address
    index: int


class Flattened(NamedTuple):
    """A GraphDef without calls, the free names that it uses, and the names of the tensors asked for.

    `controls` are the operations that have to run even if no tensor needs them.
    """

    graph_def: Any
    free: frozenset[str]
    tensors: tuple[str, ...]
    controls: tuple[str, ...]


def flatten(graph_def: Any, root: Body, tensors: Sequence[str | Output], definition: Callable[[str], Any]) -> Flattened:
    """Writes out what tensors need, and what the root has to run: tensors of the root by name, those anywhere by place.

    `root` is a tree of `graph_def`. `definition` gives an operation's OpDef: it says which output `name:output:1` is.
    """
    wiring = _Wiring(graph_def, root, definition)
    sources = [root.owner(wanted) if isinstance(wanted, str) else _source(root, wanted) for wanted in tensors]
    result = type(graph_def)()
    result.versions.CopyFrom(graph_def.versions)
    for place in wiring.needed(sources):
        wiring.write(place, result.node.add())
    result.library.CopyFrom(graph_def.library)
    del result.library.function[:]
    result.library.function.extend(reachable(graph_def.library, result.node))
    used = {feed.removeprefix("^").partition(":")[0] for node in result.node for feed in node.input}
    tensor_names = tuple(wiring.output(source) for source in sources)
    return Flattened(result, frozenset(root.arguments) & used, tensor_names, wiring.controls())


def _source(root: Body, output: Output) -> Source:
    body = root
    for call in output.address[:-1]:
        body = body.calls[call]
    return Source(body, output.address[-1], str(output.index))


class _Place(NamedTuple):
    """An operation of a body; without a name the moment before a called body starts, or after it is done."""

    body: Body
    name: str
    done: bool = False


class _Wiring:
    """What operations are called, and what they take and wait for, once the calls are gone."""

    def __init__(self, graph_def: Any, root: Body, definition: Callable[[str], Any]) -> None:
        self._root, self._functions, self._definition = root, functions_of(graph_def), definition
        self._names = unique_names(root)
        self._taken = {*self._names.values(), *root.arguments}
        self._moments: dict[_Place, str] = {}
        self._waits = cache(self._has_to_wait)

    def needed(self, sources: Iterable[Source]) -> list[_Place]:
        """All that has to be written; iterative, for deep graphs, and indifferent to loops."""
        found: dict[_Place, None] = {}
        stack = [*_places(sources), *(_after(self._root, control) for control in self._root.controls)]
        while stack:
            place = stack.pop()
            if place not in found:
                found[place] = None
                stack.extend(self._required(place))
        return list(found)

    def write(self, place: _Place, node: Any) -> None:
        """Fills in a node."""
        node.name, node.op = self._name(place), "NoOp"
        if place.name:
            proto = place.body.nodes[place.name]
            node.op = proto.op
            node.input.extend(self.output(source) for source in _feeds(place))
            for key, value in proto.attr.items():
                if key not in DROPPED:
                    node.attr[key].CopyFrom(value)
        node.input.extend(dict.fromkeys(f"^{self._name(before)}" for before in self._waits_for(place)))

    def controls(self) -> tuple[str, ...]:
        """Names of what the root has to run."""
        return tuple(self._name(_after(self._root, control)) for control in self._root.controls)

    def output(self, source: Source) -> str:
        """The name of an operation's output in the GraphDef."""
        if source.is_free:
            return f"{source.name}:0"
        node = source.body.nodes[source.name]
        index = int(source.port) if source.port.isdigit() else output_index(source.port, node, self._op_def(node.op))
        return f"{self._name(_Place(source.body, source.name))}:{index}"

    def _op_def(self, op: str) -> Any:
        return self._functions[op].signature if op in self._functions else self._definition(op)

    def _name(self, place: _Place) -> str:
        address = place.body.address
        if place.name:
            return self._names[(*address, place.name)]
        if place not in self._moments:
            name = scoped(address[:-1], address[-1]) + ("/done" if place.done else "/start")
            while name in self._taken:
                name += "_"
            self._taken.add(name)
            self._moments[place] = name
        return self._moments[place]

    def _required(self, place: _Place) -> Iterator[_Place]:
        """What has to be written when this is: a body runs whole or not at all."""
        yield from self._waits_for(place)
        if place.name:
            yield from _places(_feeds(place))
        yield from (_after(place.body, control) for control in place.body.controls)

    def _waits_for(self, place: _Place) -> Iterator[_Place]:
        """What has to have run before this, beside what feeds it."""
        body = place.body
        if place.name:
            yield from self._controls(body, body.nodes[place.name])
        elif place.done:
            yield from (_after(body, control) for control in body.controls)
            yield from _places(body.owner(result) for result in body.results)
        elif body.caller is not None:
            yield from self._controls(body.caller, body.call)

    def _controls(self, body: Body, node: Any) -> Iterator[_Place]:
        """A node's control inputs; for one that nothing in its body feeds, what its body has to wait for."""
        yield from (_after(body, feed[1:]) for feed in node.input if feed[0] == "^")
        if self._waits(body) and all(feed.partition(":")[0] in body.arguments for feed in node.input):
            yield _Place(body, "")

    def _has_to_wait(self, body: Body) -> bool:
        return body.caller is not None and any(True for _ in self._controls(body.caller, body.call))


def _feeds(place: _Place) -> Iterator[Source]:
    proto = place.body.nodes[place.name]
    return (place.body.owner(feed) for feed in proto.input if feed[0] != "^")


def _places(sources: Iterable[Source]) -> Iterator[_Place]:
    return (_Place(source.body, source.name) for source in sources if not source.is_free)


def _after(body: Body, name: str) -> _Place:
    """The moment when an operation has run; for a call, when its body is done."""
    return _Place(body.calls[name], "", done=True) if name in body.calls else _Place(body, name)
