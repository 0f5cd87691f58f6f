"""Parts of a graph where a tensor has no single value: bodies of loops, branches, and functions run by an operation.

TensorFlow 2 keeps them in functions of While, If and their like; TensorFlow 1 between Enter and Exit, Switch and
Merge. Both are told in the same words: what stands inside, by name, and where its results come out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from surgery.formats.call_tree import Address, Body, called_functions, functions_of, scoped, tree_of_function
from surgery.formats.frames import enclosing_frames

LOOPS = frozenset({"While", "StatelessWhile", "For"})
BRANCHES = frozenset({"If", "StatelessIf", "Case", "StatelessCase"})


@dataclass(frozen=True)
class Region:
    """A loop, a branch, or a function that an operation runs, by the name of that operation.

    `inside` are the names of the operations in it, `places` those that stand in the graph itself. `leaving` are the
    operations outside that have its results: the While, say, and what takes its outputs.
    """

    name: str
    op: str
    kind: str
    inside: frozenset[str]
    places: frozenset[Address]
    leaving: tuple[Address, ...]


def regions_of(graph_def: Any, root: Body, names: Mapping[Address, str]) -> tuple[Region, ...]:
    """The outermost regions of a graph, in its order; `names` are those of its operations."""
    framed = _framed(root, ())
    found: dict[tuple[str, str, str], tuple[set[str], set[Address], dict[Address, None]]] = {}
    library = functions_of(graph_def)
    holders: dict[Address, tuple[str, str, str]] = {}
    for body, node in root.walk():
        address = (*body.address, node.name)
        if address in framed:
            inside, places, _ = found.setdefault(framed[address], (set(), set(), {}))
            inside.add(names[address])
            places.add(address)
        elif run := [name for name in (*called_functions(node), node.op) if name in library]:
            holders[address] = (names[address], node.op, _kind(node.op))
            prefix = scoped(body.address, "")
            inner = {prefix + name for function in run for name in _operations(graph_def, function, frozenset())}
            found[holders[address]] = (inner, set(), {address: None})
    for body, node in root.walk() if found else ():
        address = (*body.address, node.name)
        for feed in node.input if address not in framed else ():
            source = body.owner(feed) if feed[0] != "^" else None
            came_from = (*source.body.address, source.name) if source is not None else ()
            region = framed.get(came_from) or holders.get(came_from)
            if region is not None:
                found[region][2][address] = None
    return tuple(
        Region(*key, frozenset(inside), frozenset(places), tuple(leaving))
        for key, (inside, places, leaving) in found.items()
    )


def _framed(body: Body, around: tuple[str, str, str] | tuple[()]) -> dict[Address, tuple[str, str, str]]:
    """The outermost loop or branch of TensorFlow 1 around each place; a call within one takes its body along."""
    frames = enclosing_frames(body.nodes)
    found: dict[Address, tuple[str, str, str]] = {}
    for name in body.nodes:
        region = around or (_region(frames[name][0]) if name in frames else ())
        if name in body.calls:
            found.update(_framed(body.calls[name], region))
        elif region:
            found[(*body.address, name)] = region
    return found


def _region(frame: Any) -> tuple[str, str, str]:
    return (frame.name, "Enter" if frame.kind == "loop" else "Switch", frame.kind)


def _kind(op: str) -> str:
    return "loop" if op in LOOPS else "branch" if op in BRANCHES else "function"


def _operations(graph_def: Any, function: str, seen: frozenset[str]) -> Iterator[str]:
    """Names of all operations of a function, and of the functions that these run."""
    if function in seen:
        return
    library = functions_of(graph_def)
    for body, node in tree_of_function(graph_def, function).walk():
        yield scoped(body.address, node.name)
        for inner in (*called_functions(node), node.op):
            if inner in library:
                yield from (scoped(body.address, name) for name in _operations(graph_def, inner, seen | {function}))
