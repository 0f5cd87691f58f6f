"""The object graph of a TF2 SavedModel: children, variables, functions and their structures, without TensorFlow.

Field names are those of tensorflow/core/protobuf/saved_object_graph.proto and struct.proto.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from surgery import limits

ROOT = 0


def children(graph: Any, node: int) -> dict[str, int]:
    """Node ids of an object's children, by the child's name."""
    return {child.local_name: child.node_id for child in graph.nodes[node].children}


def paths(graph: Any) -> dict[int, str]:
    """The shortest path from the root to each object, such as "layer-1/variables/3", by node id.

    Of several shortest paths it is the first in child order. Names are escaped as in TensorFlow's checkpoint keys
    (trackable/trackable_utils.py): "." becomes "..", and "/" becomes ".S".

    Raises LimitError for objects too deep below the root, and for paths that are too long together: each path repeats
    that of its owner.
    """
    nodes, found, queue, characters = graph.nodes, {ROOT: ""}, deque([(ROOT, 1)]), 0
    deepest, longest = limits.limit("object_depth"), limits.limit("object_paths")
    while queue:
        node, depth = queue.popleft()
        owner = found[node]
        for child in nodes[node].children:
            if (number := child.node_id) not in found:
                name = child.local_name.replace(".", "..").replace("/", ".S")
                path = found[number] = f"{owner}/{name}" if owner else name
                queue.append((number, depth + 1))
                characters += len(path)
                if depth > deepest:
                    raise limits.exceeded("object_depth", None, "following the object graph")
                if characters > longest:
                    raise limits.exceeded("object_paths", None, "following the object graph")
    return found


def below(graph: Any, node: int) -> Iterator[int]:
    """The node and every node that can be reached from it."""
    seen, stack = {node}, [node]
    while stack:
        yield (found := stack.pop())
        for child in graph.nodes[found].children:
            if child.node_id not in seen:
                seen.add(child.node_id)
                stack.append(child.node_id)


def kinds(graph: Any, numbers: Iterable[int]) -> dict[int, str | None]:
    """The kind of each of these objects, such as "variable", by node id; None where the file names none."""
    nodes = graph.nodes
    return {number: nodes[number].WhichOneof("kind") for number in numbers}


def path_names(path: str) -> Iterator[str]:
    """The child names along a path, without escapes."""
    for name in path.split("/"):
        yield re.sub(r"\.(.)", lambda escaped: "/" if escaped[1] == "S" else escaped[1], name)
