"""Parts of a graph where a tensor has no single value: bodies of loops, branches, and functions run by an operation.

TensorFlow 2 keeps them in the functions of While, If and similar operations; TensorFlow 1 keeps them between Enter and
Exit, or Switch and Merge. Both are described in the same way: by the names of the operations inside, and by the
operations that have the results.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from surgery import limits
from surgery.graphs.calls import Address, Body, tree_of_function
from surgery.graphs.frames import Frame, enclosing_frames
from surgery.graphs.functions import called_functions, functions_of
from surgery.graphs.names import scoped

LOOPS = frozenset({"While", "StatelessWhile", "For"})
BRANCHES = frozenset({"If", "StatelessIf", "Case", "StatelessCase"})


@dataclass(frozen=True, kw_only=True)
class Region:
    """A loop, a branch, or a function that an operation runs.

    Attributes:
        name: The name of the operation that runs it; in TensorFlow 1 the name of the loop's frame or of the condition.
        op: The type of that operation.
        kind: "loop", "branch" or "function".
        inside: Names of the operations in it.
        spots: Addresses of those operations in it that stand in the graph itself.
        leaving: Addresses of operations outside that have its results: the While, and those that take its outputs.
        unchanged: Numbers of the outputs of a While that only pass on its inputs.
    """

    name: str
    op: str
    kind: str
    inside: frozenset[str]
    spots: frozenset[Address]
    leaving: tuple[Address, ...]
    unchanged: frozenset[int] = frozenset()


class _Key(NamedTuple):
    """The fields that identify a Region."""

    name: str
    op: str
    kind: str


def regions_of(graph_def: Any, root: Body, names: Mapping[Address, str]) -> tuple[Region, ...]:
    """The outermost regions of a graph, in the graph's order. `names` are the names of its operations, by address."""
    library = functions_of(graph_def)
    known: dict[str, list[str]] = {}
    key_of = _framed(root, None)
    framed = frozenset(key_of)
    inside: dict[_Key, set[str]] = {}
    leaving: dict[_Key, dict[Address, None]] = {}
    unchanged: dict[_Key, frozenset[int]] = {}
    for body, node in root.walk():
        address = (*body.address, node.name)
        if address in framed:
            inside.setdefault(key_of[address], set()).add(names[address])
        elif run := [name for name in (*called_functions(node), node.op) if name in library]:
            key = key_of[address] = _Key(names[address], node.op, _kind(node.op))
            prefix = scoped(body.address, "")
            inside[key] = {prefix + name for function in run for name in _operations(graph_def, function, known)}
            leaving[key] = {address: None}
            unchanged[key] = _unchanged(library[node.attr["body"].func.name]) if node.op in LOOPS else frozenset()
    for body, node in root.walk() if inside else ():
        address = (*body.address, node.name)
        for feed in node.input if address not in framed else ():
            port = body.owner(feed) if feed[0] != "^" else None
            if port is not None and (came_from := (*port.body.address, port.name)) in key_of:
                leaving.setdefault(key_of[came_from], {})[address] = None
    return tuple(
        Region(
            **key._asdict(),
            inside=frozenset(names_inside),
            spots=frozenset(address for address in framed if key_of[address] == key),
            leaving=tuple(leaving.get(key, ())),
            unchanged=unchanged.get(key, frozenset()),
        )
        for key, names_inside in inside.items()
    )


def _framed(body: Body, around: _Key | None) -> dict[Address, _Key]:
    """The outermost loop or branch of TensorFlow 1 around each spot.

    If a call is in a loop or branch, so are the operations of its body.
    """
    frames = enclosing_frames(body.nodes)
    found: dict[Address, _Key] = {}
    for name in body.nodes:
        key = around or (_key(frames[name][0]) if name in frames else None)
        if name in body.calls:
            found.update(_framed(body.calls[name], key))
        elif key is not None:
            found[(*body.address, name)] = key
    return found


def _key(frame: Frame) -> _Key:
    return _Key(frame.name, "Enter" if frame.kind == "loop" else "Switch", frame.kind)


def _unchanged(function: Any) -> frozenset[int]:
    """Numbers of the outputs of a loop's body that are its arguments of the same number."""
    pairs = zip(function.signature.input_arg, function.signature.output_arg, strict=True)
    return frozenset(number for number, (taken, given) in enumerate(pairs) if function.ret[given.name] == taken.name)


def _kind(op: str) -> str:
    return "loop" if op in LOOPS else "branch" if op in BRANCHES else "function"


def _operations(graph_def: Any, function: str, known: dict[str, list[str]]) -> list[str]:
    """Names of all operations of a function, and of the functions that they run.

    `known` caches the result by function. A function that runs itself is only counted once. Raises LimitError for too
    many names.
    """
    if function not in known:
        known[function] = []
        names: list[str] = []
        library = functions_of(graph_def)
        for body, node in tree_of_function(graph_def, function).walk():
            names.append(scoped(body.address, node.name))
            for inner in (*called_functions(node), node.op):
                if inner in library:
                    names += [scoped(body.address, name) for name in _operations(graph_def, inner, known)]
            limits.check("inlined_nodes", len(names), f"listing the operations of {function}", exactly=False)
        known[function] = names
    return known[function]
