"""What hides in bytes: graphs in the constants of a graph, and Python bytecode in what Keras saved beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf import message
from tensorboard.compat.proto import graph_pb2

from surgery.formats.keras_metadata import saved_layers

LAMBDA = re.compile(r'"class_name":\s*"(Lambda|__lambda__)"')
SHORTEST = 8
"""Fewer bytes hold no operation with a name and a type."""
NAME = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*")
TYPE = re.compile(r"[A-Za-z_][A-Za-z0-9_.>-]*")
"""Names and types of operations that TensorFlow accepts. Where one does not fit, it refuses the whole graph."""
HOLD_STRINGS = frozenset({"s", "tensor", "func", "list"})
"""The kinds of attributes that can hold strings."""


def graph_in(data: bytes) -> Any | None:
    """The GraphDef that bytes are; None for anything else.

    Text and other messages may parse as this one. TensorFlow only takes it if every operation has a name and a type.
    """
    if len(data) < SHORTEST:
        return None
    try:
        graph = graph_pb2.GraphDef.FromString(data)
    except (message.DecodeError, RecursionError):
        return None
    whole = all(NAME.fullmatch(node.name) and TYPE.fullmatch(node.op) for node in graph.node)
    return graph if graph.node and whole else None


def may_hold_strings(value: Any) -> bool:
    """Whether an attribute is of a kind that can hold strings. Most are not, which is seen faster than looked for."""
    return value.WhichOneof("value") in HOLD_STRINGS


def strings_of(value: Any) -> Iterator[bytes]:
    """All strings in an attribute of an operation, also within its constants and the attributes of its functions."""
    stack = [value]
    while stack:
        value = stack.pop()
        kind = value.WhichOneof("value")
        if kind == "s":
            yield value.s
        elif kind == "tensor":
            yield from _strings_of_tensor(value.tensor)
        elif kind == "func":
            stack.extend(value.func.attr.values())
        elif kind == "list":
            yield from value.list.s
            for tensor in value.list.tensor:
                yield from _strings_of_tensor(tensor)
            for function in value.list.func:
                stack.extend(function.attr.values())


def _strings_of_tensor(tensor: Any) -> Iterator[bytes]:
    stack = [tensor]
    while stack:
        tensor = stack.pop()
        yield from tensor.string_val
        for variant in tensor.variant_val:
            yield variant.metadata
            stack.extend(variant.tensors)


def bytecode_in(folder: Path | None, saved_model: Any) -> tuple[str, ...]:
    """Names of the layers whose Python bytecode lies in the module.

    Keras stores the function of a Lambda layer so. TensorFlow does not need it, and surgery never deserialises it.
    """
    found: dict[str, None] = {}
    for layer in saved_layers(folder, saved_model):  # a damaged file is shown all the same: nothing depends on it
        if LAMBDA.search(layer.metadata):
            found.update(dict.fromkeys(_lambdas(layer.name, layer.metadata)))
    layers = [name for name in found if not name.endswith(INSIDE)]
    return tuple(layers or found)


INSIDE = " (a layer inside)"


def _lambdas(name: str, metadata: str) -> Iterator[str]:
    """The layer itself, if it is a Lambda; else the layer that has one inside."""
    try:
        layer = json.loads(metadata)
        own = isinstance(layer, dict) and layer.get("class_name") == "Lambda"
        yield str(layer.get("name") or name) if own else name + INSIDE
    except (ValueError, RecursionError):
        yield name + INSIDE
