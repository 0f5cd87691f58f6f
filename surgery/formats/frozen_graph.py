"""GraphDef files: which operations one has, read field by field, so that constants of any size are passed over.

A SavedModel and a GraphDef both end in `.pb`. A SavedModel begins with its version (field 1, a number), a GraphDef with
its first node (field 1, a message). The numbers of the fields are those of TensorFlow's saved_model.proto, graph.proto
and node_def.proto. Protobuf itself would hold all constants in memory: 440 MB for a BERT-base.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from surgery import limits
from surgery.formats.varints import varint

LENGTH = 2
"""The wire type of strings and messages."""
SKIPPED = {1: 8, 5: 4}
"""The bytes of a field of fixed size, by wire type."""
VARIABLES = ("Variable", "VariableV2", "VarHandleOp")
INPUTS = ("Placeholder", "PlaceholderWithDefault")


@dataclass(frozen=True, kw_only=True)
class FrozenGraph:
    """What a graph takes and gives.

    Attributes:
        inputs: The names of its placeholders.
        outputs: The names of the operations whose results no other operation takes.
        variables: The number of its variables; none if it is frozen.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    variables: int


def is_saved_model(head: bytes) -> bool:
    """Whether a file that begins so is a SavedModel: version 1, then a meta graph."""
    return head[:3] == b"\x08\x01\x12"


def is_graph(head: bytes) -> bool:
    """Whether a file that begins so is a GraphDef: a node, which begins with its name and its operation."""
    try:
        (_, _, node, end) = next(_fields(head, 0, len(head)))
        first, second = (field for field, _ in zip(_fields(head, node, end), range(2), strict=False))
        name = head[first[2] : first[3]].decode()
        op = head[second[2] : second[3]].decode()
    except (ValueError, IndexError, StopIteration):
        return False
    return head[:1] == b"\x0a" and (first[0], second[0]) == (1, 2) and name.isprintable() and op.isidentifier()


def read_frozen(path: Path) -> FrozenGraph | None:
    """The inputs and outputs of a GraphDef file; None for a damaged one.

    Raises LimitError for more operations than the limits allow.
    """
    inputs, taken, variables = [], set(), 0
    ends: dict[str, None] = {}
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            nodes = 0
            for number, wire, start, end in _fields(content, 0, len(content)):
                if (number, wire) != (1, LENGTH):
                    continue
                nodes += 1
                limits.check("nodes", nodes, f"reading {path}", exactly=False)
                name, op, feeds = _node(content, start, end)
                taken |= feeds
                variables += op in VARIABLES
                if op in INPUTS:
                    inputs.append(name)
                elif op not in ("Const", "NoOp", "Assert"):
                    ends[name] = None
    except (ValueError, IndexError):
        return None
    outputs = tuple(name for name in ends if name not in taken)
    return FrozenGraph(inputs=tuple(inputs), outputs=outputs, variables=variables)


def _node(content: bytes | mmap.mmap, start: int, end: int) -> tuple[str, str, set[str]]:
    """The name of a node, its operation, and the nodes whose results it takes."""
    name = op = ""
    feeds = set()
    for number, _, at, after in _fields(content, start, end):
        if number in (1, 2, 3):
            text = bytes(content[at:after]).decode()
            if number == 1:
                name = text
            elif number == 2:
                op = text
            else:
                feeds.add(text.lstrip("^").partition(":")[0])
    return name, op, feeds


def _fields(content: bytes | mmap.mmap, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """The fields of a message: number, wire type, and where the content begins and ends."""
    while at < end:
        tag, at = varint(content, at)  # type: ignore[arg-type]  # a mmap has the bytes of a file by position
        wire = tag & 7
        if wire == 0:
            _, after = varint(content, at)  # type: ignore[arg-type]
        elif wire == LENGTH:
            size, at = varint(content, at)  # type: ignore[arg-type]
            after = at + size
        elif wire in SKIPPED:
            after = at + SKIPPED[wire]
        else:
            raise ValueError(f"a field of the unknown wire type {wire}")
        yield tag >> 3, wire, at, after
        at = after
