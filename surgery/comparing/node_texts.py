"""The facts of a graph's nodes, so that a node of one module can be compared with its namesake in another.

What changes from one save to the next does not count: numbers in the names of functions, names that variables and
tables share in a session, and the path of an asset on the machine of the exporter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any

from surgery.errors import LimitError
from surgery.formats.tensors import dtype_name, shape_of, to_number
from surgery.graphs.fingerprints import see_through
from surgery.graphs.flat import FlatGraph, Node, Tensor, nodes_behind
from surgery.graphs.op_types import TRANSPARENT
from surgery.wording import shape_text

SESSION = frozenset({"shared_name", "container", "config_proto", "executor_type"})
"""Attributes that say nothing about the computation."""
LONGEST = 60
"""Characters of an attribute that are shown."""


class NodeTexts:
    """Names and facts of the nodes of one graph.

    Args:
        graph: The graph.
        outputs: The tensors whose computation is compared.
        labels: What to call each variable, by its address.
        assets: Names of the nodes that hold the paths of assets.
    """

    def __init__(
        self, graph: FlatGraph, outputs: Sequence[Tensor], labels: Mapping[str, str], assets: Collection[str] = ()
    ) -> None:
        self._functions: Mapping[str, Any] = graph.root.graph.functions
        self._assets = frozenset(assets)
        self._bodies: dict[str, bytes] = {}
        self._free = {node: f"input {number}" for number, node in enumerate(graph.inputs)}
        self._free |= {node: f"variable {labels.get(path, path)}" for path, node in graph.variables.items()}
        self.nodes = {self.name(node): node for node in nodes_behind(outputs) if node.op not in TRANSPARENT}

    def name(self, node: Node) -> str:
        """The name of a node, which no other node of the graph has."""
        if node.body is None:
            return self._free.get(node, node.path)
        return "/".join((*node.body.address, node.proto.name))

    def tensor(self, tensor: Tensor) -> str:
        """The name of a tensor, behind the nodes that only pass it on."""
        behind = see_through(tensor)
        return f"{self.name(behind.node)}:{behind.port}" if behind.node.body is not None else self.name(behind.node)

    def behind(self, tensor: Tensor) -> str:
        """The tensor behind the nodes that only pass one on, as `surgery graph` names it."""
        behind = see_through(tensor)
        index = behind.port.rpartition(":")[2]
        if behind.node.body is None:
            return self.name(behind.node)
        return behind.node.path if index == "0" else f"{behind.node.path}:{index}"

    def facts(self, node: Node) -> dict[str, Hashable]:
        """All that makes the computation of a node: its type, its inputs and its attributes."""
        found: dict[str, Hashable] = {"type": node.op}
        found.update((f"input {number}", self.tensor(feed)) for number, feed in enumerate(node.inputs))
        is_asset = node.body is not None and node.body.caller is None and node.proto.name in self._assets
        for key in sorted(node.attr):
            if key[0] != "_" and key not in SESSION and not is_asset:
                found[key] = self._attribute(node.attr[key])
        return found

    def shown(self, node: Node, what: str) -> str | None:
        """A fact of a node for people; None where the node does not have it."""
        if what == "type":
            return node.op
        if what.startswith("input "):
            number = int(what.removeprefix("input "))
            return self.behind(node.inputs[number]) if number < len(node.inputs) else None
        if what not in node.attr:
            return None
        return _value(node.attr[what])

    def _attribute(self, value: Any) -> bytes:
        if value.HasField("func"):
            return self._function(value.func.name)
        if value.list.func:
            return b"".join([self._function(function.name) for function in value.list.func])
        data: bytes = value.SerializeToString(deterministic=True)
        return data

    def _function(self, name: str) -> bytes:
        """A digest of a function's body and of the functions that it calls; of one that is missing, its name."""
        if name not in self._functions:
            return name.encode()
        if name not in self._bodies:
            self._bodies[name] = b"itself"  # a function that calls itself
            self._bodies[name] = self._digest(self._functions[name])
        return self._bodies[name]

    def _digest(self, function: Any) -> bytes:
        signature = function.signature
        parts = [
            part
            for kind, arguments in ((b"in", signature.input_arg), (b"out", signature.output_arg))
            for part in (kind, *(f"{argument.name} {argument.type}".encode() for argument in arguments))
        ]
        for node in sorted(function.node_def, key=lambda node: str(node.name)):
            parts += [node.name.encode(), node.op.encode(), *(feed.encode() for feed in node.input), b"attributes"]
            parts += [
                part
                for key in sorted(node.attr)
                if key[0] != "_" and key not in SESSION
                for part in (key.encode(), self._attribute(node.attr[key]))
            ]
        parts += [part.encode() for result in sorted(function.ret.items()) for part in result]
        lengths_and_parts = b"".join([piece for part in parts for piece in (len(part).to_bytes(4, "little"), part)])
        return hashlib.blake2b(lengths_and_parts, digest_size=16).digest()


def _value(value: Any) -> str:
    """An attribute for people: a number, the kind of a larger constant, a dtype, a shape, or its text."""
    kind = value.WhichOneof("value")
    if kind == "tensor":
        kind_and_shape = f"{dtype_name(value.tensor.dtype)} {shape_text(shape_of(value.tensor.tensor_shape))}"
        try:
            number = to_number(value.tensor)
        except (ValueError, LimitError):
            number = None
        return kind_and_shape if number is None else f"{number:.9g}"
    if kind == "type":
        return dtype_name(value.type)
    if kind == "shape":
        return shape_text(shape_of(value.shape))
    if kind == "func":
        return f"function {value.func.name}"
    if kind == "s":
        text = value.s.decode(errors="replace")
    elif kind in ("i", "f", "b"):
        text = str(getattr(value, kind))
    else:
        text = " ".join(str(value).split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
