"""The object graph of a TF2 SavedModel: children, variables, functions and their structures, without TensorFlow.

Field names are those of tensorflow/core/protobuf/saved_object_graph.proto and struct.proto.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from typing import Any

ROOT = 0


def children(graph: Any, node: int) -> dict[str, int]:
    """Node ids of an object's children, by the child's name."""
    return {child.local_name: child.node_id for child in graph.nodes[node].children}


def paths(graph: Any) -> dict[int, str]:
    """The shortest path from the root to each object, such as "layer-1/variables/3", by node id.

    Of several shortest paths it is the first in child order. Names are escaped as in TensorFlow's checkpoint keys
    (trackable/trackable_utils.py): "." becomes "..", and "/" becomes ".S".
    """
    found, queue = {ROOT: ""}, deque([ROOT])
    while queue:
        node = queue.popleft()
        for child in graph.nodes[node].children:
            if child.node_id not in found:
                name = child.local_name.replace(".", "..").replace("/", ".S")
                found[child.node_id] = f"{found[node]}/{name}" if found[node] else name
                queue.append(child.node_id)
    return found


def path_names(path: str) -> Iterator[str]:
    """The child names along a path, without escapes."""
    for name in path.split("/"):
        yield re.sub(r"\.(.)", lambda escaped: "/" if escaped[1] == "S" else escaped[1], name)
