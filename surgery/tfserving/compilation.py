"""Functions of a graph that demand to be compiled by XLA: a server that may not compile fails on them."""

from __future__ import annotations

from typing import Any

MUST_COMPILE = "_XlaMustCompile"
"""The attribute of a function, or of its call, that was traced with `jit_compile=True`."""


def compiled_functions(graph_def: Any) -> tuple[str, ...]:
    """The names of the functions of a GraphDef that demand XLA, sorted."""
    functions = graph_def.library.function
    nodes = [graph_def.node, *(function.node_def for function in functions)]
    found = {function.signature.name for function in functions if _must_compile(function)}
    found |= {_called(node) for listed in nodes for node in listed if _must_compile(node)}
    return tuple(sorted(found))


def _must_compile(holder: Any) -> bool:
    # Looking up an attribute that is not there would add it to the message.
    return MUST_COMPILE in holder.attr and bool(holder.attr[MUST_COMPILE].b)


def _called(node: Any) -> str:
    """The function that a node calls; its operation where it calls none by the usual attribute."""
    return str(node.attr["f"].func.name if "f" in node.attr else node.op)
