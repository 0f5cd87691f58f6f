"""Operations that lead to others in a GraphDef, and the part of a TensorFlow 1 graph that a signature can compute."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from surgery.graphs.op_types import WRITES

PLACEHOLDERS = frozenset({"Placeholder", "PlaceholderV2"})


def owner(feed: str) -> str:
    """The name of the operation behind a tensor's name or a control input."""
    return feed.removeprefix("^").partition(":")[0]


def ancestors(nodes: Mapping[str, Any], feeds: Iterable[str]) -> set[str]:
    """Names of the operations behind tensors, and of all that lead to them, control inputs included.

    `nodes` are the operations by name. Names that it does not have are left out.
    """
    starts = (owner(feed) for feed in feeds)
    return _closure(
        (name for name in starts if name in nodes),
        lambda name: [before for feed in nodes[name].input if (before := owner(feed)) in nodes],
    )


def descendants(nodes: Iterable[Any], names: Iterable[str]) -> set[str]:
    """Names of these operations, and of all that take a tensor that is computed from theirs."""
    users = _users(nodes)
    return _closure(names, lambda name: users.get(name, ()))


def computed_from(nodes: Mapping[str, Any], feeds: Iterable[str], outputs: Iterable[str]) -> frozenset[str]:
    """Names of the operations that can be computed from fed tensors.

    These are all operations that the outputs need, and all that depend on the feeds. Of the latter, operations that
    need another placeholder or are run for their effect are left out, with all operations that depend on them.
    """
    fed = {owner(name) for name in feeds}
    takes = {name: {owner(feed) for feed in node.input} for name, node in nodes.items()}
    users = _users(nodes.values())
    needed = _closure((owner(name) for name in outputs), lambda name: takes[name] if name not in fed else ())
    closed = (
        n for n, node in nodes.items() if n not in fed and (node.op in PLACEHOLDERS or node.op.startswith(WRITES))
    )
    refused = _closure(closed, lambda name: users.get(name, set()) - fed)
    decided = _closure(fed, lambda name: users.get(name, ()))
    return frozenset((needed | (decided - refused)) - fed)


def _users(nodes: Iterable[Any]) -> dict[str, set[str]]:
    """Names of the operations that take a tensor or wait for an operation, by that operation's name."""
    users: dict[str, set[str]] = {}
    for node in nodes:
        for feed in node.input:
            users.setdefault(owner(feed), set()).add(node.name)
    return users


def _closure(start: Iterable[str], following: Any) -> set[str]:
    found: set[str] = set()
    stack = list(start)
    while stack:
        name = stack.pop()
        if name not in found:
            found.add(name)
            stack.extend(following(name))
    return found
