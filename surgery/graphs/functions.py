"""The functions of a GraphDef's library, and the functions that operations call."""

from __future__ import annotations

from typing import Any

HOLD_FUNCTIONS = frozenset({"func", "list"})
"""The kinds of attributes that can name a function."""


def functions_of(graph_def: Any) -> dict[str, Any]:
    """A GraphDef's functions by name."""
    return {function.signature.name: function for function in graph_def.library.function}


def called_functions(node: Any) -> tuple[str, ...]:
    """Names of the functions in all attributes of an operation, and in the attributes of those: what it calls."""
    names: list[str] = []
    attributes = node.attr
    # Few of a graph's many operations call anything. A map's `items` is twice as slow as its keys.
    holding = sorted([key for key in attributes if attributes[key].WhichOneof("value") in HOLD_FUNCTIONS])
    values = [attributes[key] for key in holding]
    for value in values:  # which grows
        for function in [value.func] if value.HasField("func") else value.list.func:
            names.append(function.name)
            values += function.attr.values()
    return tuple(names)


def reachable(library: Any, nodes: Any) -> list[Any]:
    """The functions of a library that nodes call, directly or through one another, in name order.

    A node calls a function by an attribute, or has its name for a type.
    """
    functions = {function.signature.name: function for function in library.function}
    reached: set[str] = set()
    queue = [name for node in nodes for name in (node.op, *called_functions(node))]
    while queue:
        name = queue.pop()
        if name not in reached and name in functions:
            reached.add(name)
            queue += [called for node in functions[name].node_def for called in (node.op, *called_functions(node))]
    return [functions[name] for name in sorted(reached)]
