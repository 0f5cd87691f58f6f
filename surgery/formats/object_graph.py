"""The object graph of a TF2 SavedModel: children, variables, functions and their structures, without TensorFlow.

Field names are those of tensorflow/core/protobuf/saved_object_graph.proto and struct.proto.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from typing import Any

from tensorboard.compat.proto import types_pb2

from surgery.module import Shape, Structure, TensorInfo

ROOT = 0


def dtype_name(number: int) -> str:
    """`DT_FLOAT` as "float32"; TensorFlow's Python names."""
    names = {"float": "float32", "double": "float64", "half": "float16"}
    name: str = types_pb2.DataType.Name(number).removeprefix("DT_").lower()
    return names.get(name, name)


def shape_of(proto: Any) -> Shape | None:
    """A TensorShapeProto: None for unknown rank, None for a free axis."""
    if proto.unknown_rank:
        return None
    return tuple(None if dim.size < 0 else dim.size for dim in proto.dim)


def children(graph: Any, node: int) -> dict[str, int]:
    """Child names of an object and their node ids."""
    return {child.local_name: child.node_id for child in graph.nodes[node].children}


def paths(graph: Any) -> dict[int, str]:
    """The shortest path from the root to each object, as "layer-1/variables/3"; breadth first, in child order.

    A slash within a name is written as in TensorFlow's checkpoint keys (trackable/trackable_utils.py): "." becomes
    "..", and "/" becomes ".S".
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
    """The child names along a path, as the objects have them."""
    for name in path.split("/"):
        yield re.sub(r"\.(.)", lambda escaped: "/" if escaped[1] == "S" else escaped[1], name)


def structure(value: Any) -> Structure:
    """A StructuredValue as nested Python data; TensorSpecs become TensorInfo with the spec's name as its key."""
    kind = value.WhichOneof("kind")
    if kind == "list_value":
        return [structure(item) for item in value.list_value.values]
    if kind == "tuple_value":
        return tuple(structure(item) for item in value.tuple_value.values)
    if kind == "named_tuple_value":
        return {pair.key: structure(pair.value) for pair in value.named_tuple_value.values}
    if kind == "dict_value":
        return {key: structure(item) for key, item in value.dict_value.fields.items()}
    if kind in ("tensor_spec_value", "bounded_tensor_spec_value"):
        spec = getattr(value, kind)
        return TensorInfo(spec.name, dtype_name(spec.dtype), shape_of(spec.shape))
    if kind == "none_value" or kind is None:
        return None
    plain = getattr(value, kind)
    return plain if isinstance(plain, bool | int | float | str) else kind.removesuffix("_value")


def argument_names(function_spec: Any) -> tuple[str, ...]:
    """Names of the positional arguments of a saved function, without `self`."""
    spec = structure(function_spec.fullargspec)
    if not isinstance(spec, dict):
        return ()
    names = tuple(spec.get("args") or ())
    return names[1:] if function_spec.is_method and names[:1] == ("self",) else names
