"""What of a TensorFlow 1 graph a signature can compute: such a graph holds other signatures, savers and more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from surgery.graphs.flat import WRITES

PLACEHOLDERS = frozenset({"Placeholder", "PlaceholderV2"})


def computed_from(nodes: Mapping[str, Any], feeds: Iterable[str], outputs: Iterable[str]) -> frozenset[str]:
    """Operations that lead from fed tensors to others: all that the outputs need, and all that only the feeds decide.

    What needs another placeholder is left out, and what is run for its effect, with all that follows it.
    """
    fed = {_owner(name) for name in feeds}
    takes = {name: {_owner(feed) for feed in node.input} for name, node in nodes.items()}
    users: dict[str, set[str]] = {}
    for name, owners in takes.items():
        for owner in owners:
            users.setdefault(owner, set()).add(name)
    needed = _closure((_owner(name) for name in outputs), lambda name: takes[name] if name not in fed else ())
    closed = (
        n for n, node in nodes.items() if n not in fed and (node.op in PLACEHOLDERS or node.op.startswith(WRITES))
    )
    refused = _closure(closed, lambda name: users.get(name, set()) - fed)
    decided = _closure(fed, lambda name: users.get(name, ()))
    return frozenset((needed | (decided - refused)) - fed)


def _closure(start: Iterable[str], following: Any) -> set[str]:
    found: set[str] = set()
    stack = list(start)
    while stack:
        name = stack.pop()
        if name not in found:
            found.add(name)
            stack.extend(following(name))
    return found


def _owner(feed: str) -> str:
    return feed.removeprefix("^").partition(":")[0]
