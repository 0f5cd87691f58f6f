"""The object graph of a TF2 SavedModel: children, variables, functions and their structures, without TensorFlow.

Field names are those of tensorflow/core/protobuf/saved_object_graph.proto and struct.proto.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
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
    found, queue, characters = {ROOT: ""}, deque([(ROOT, 1)]), 0
    deepest, longest = limits.limit("object_depth"), limits.limit("object_paths")
    while queue:
        node, depth = queue.popleft()
        for child in graph.nodes[node].children:
            if child.node_id not in found:
                name = child.local_name.replace(".", "..").replace("/", ".S")
                path = found[child.node_id] = f"{found[node]}/{name}" if found[node] else name
                queue.append((child.node_id, depth + 1))
                characters += len(path)
                if depth > deepest:
                    raise limits.exceeded("object_depth", None, "following the object graph")
                if characters > longest:
                    raise limits.exceeded("object_paths", None, "following the object graph")
    return found


def path_names(path: str) -> Iterator[str]:
    """The child names along a path, without escapes."""
    for name in path.split("/"):
        yield re.sub(r"\.(.)", lambda escaped: "/" if escaped[1] == "S" else escaped[1], name)
