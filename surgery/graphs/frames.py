"""TensorFlow 1's control flow: the operations inside a loop or a branch, where a tensor has no single value.

A loop is entered by Enter and left by Exit; a branch is entered by Switch and left by Merge. Between the two, an
operation of a loop runs once per step, and an operation of a branch only if the branch is taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from surgery.graphs.ordering import feeds_first
from surgery.graphs.reach import owner

ENTER, EXIT = frozenset({"Enter", "RefEnter"}), frozenset({"Exit", "RefExit"})
SWITCH, MERGE = frozenset({"Switch", "RefSwitch"}), frozenset({"Merge", "RefMerge"})
AGAIN = frozenset({"NextIteration", "RefNextIteration"})


class Frame(NamedTuple):
    """A loop or a branch.

    Attributes:
        kind: "loop" or "branch".
        name: The name of the loop's frame, or of the branch's condition.
    """

    kind: str
    name: str


def enclosing_frames(nodes: Mapping[str, Any]) -> dict[str, tuple[Frame, ...]]:
    """The loops and branches around each operation of a graph, outermost first.

    Operations outside of all loops and branches are left out.
    """
    if not any(node.op in ENTER or node.op in SWITCH for node in nodes.values()):
        return {}
    frames: dict[str, tuple[Frame, ...]] = {}
    for name in feeds_first(nodes, lambda name: _feeds(nodes, name), frames):
        frames[name] = _frames_of(nodes, name, frames)
    return {name: found for name, found in frames.items() if found}


def _frames_of(nodes: Mapping[str, Any], name: str, frames: Mapping[str, tuple[Frame, ...]]) -> tuple[Frame, ...]:
    node = nodes[name]
    around = max((frames[feed] for feed in _feeds(nodes, name)), key=len, default=())
    if node.op in ENTER:
        return (*around, Frame("loop", node.attr["frame_name"].s.decode()))
    if node.op in EXIT or (node.op in MERGE and not _opens_a_loop(nodes, node)):
        return around[:-1]
    if node.op in SWITCH:
        condition = owner(node.input[1])
        while nodes[condition].op == "Identity":
            condition = owner(nodes[condition].input[0])
        if nodes[condition].op != "LoopCond":
            return (*around, Frame("branch", condition))
    return around


def _opens_a_loop(nodes: Mapping[str, Any], merge: Any) -> bool:
    return any(nodes[owner(feed)].op in AGAIN for feed in merge.input if owner(feed) in nodes)


def _feeds(nodes: Mapping[str, Any], name: str) -> Iterator[str]:
    """The operations that feed an operation or run before it, except those that start a loop's next step."""
    feeds = (owner(feed) for feed in nodes[name].input)
    return (feed for feed in feeds if feed in nodes and nodes[feed].op not in AGAIN)
