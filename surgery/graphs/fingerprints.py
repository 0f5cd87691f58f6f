"""Fingerprints of the computation behind a tensor. Equal fingerprints mean the same operations on the same operands.

Operations, attributes, constants, variables and inputs count, and so do the bodies of loops and branches; names, scopes
and call boundaries do not. A tensor of one function can therefore be recognised in another function that was traced
from the same code. Keras traces a model twice when it saves it, as `__call__` and as `serving_default`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from surgery.graphs.flat import FlatGraph, Node, Tensor
from surgery.graphs.functions import HOLD_FUNCTIONS
from surgery.graphs.op_types import TRANSPARENT, handed_on, output_index
from surgery.graphs.ordering import feeds_first


def see_through(tensor: Tensor, opaque: frozenset[str] = frozenset()) -> Tensor:
    """The tensor behind operations that only pass it on, except for those of the types `opaque`.

    Raises ValueError for operations that feed themselves.
    """
    passed: set[Node] = set()
    while (
        tensor.node.op in TRANSPARENT
        and tensor.node.inputs
        and tensor.node.op not in opaque
        and (number := handed_on(tensor.node.op, tensor.port)) is not None
    ):
        if tensor.node in passed:
            raise ValueError(f"{tensor.node} passes on its own output")
        passed.add(tensor.node)
        tensor = tensor.node.inputs[number]
    return tensor


class Fingerprints:
    """Fingerprints of the tensors of one graph.

    `labels` are names for the graph's inputs, by position, and `variables` names for its variables, by path. Variables
    of two modules that have one name are taken for the same. `definitions` are OpDefs by type of operation: needed
    where the operations of a function are compared with those of a GraphDef, which names their outputs otherwise.
    """

    def __init__(
        self,
        graph: FlatGraph,
        labels: Mapping[int, str],
        variables: Mapping[str, str] | None = None,
        definitions: Mapping[str, Any] | None = None,
    ) -> None:
        self._definitions = definitions or {}
        self._functions: Mapping[str, Any] = graph.root.graph.functions
        self._bodies: dict[str, bytes] = {}
        self._known: dict[Node, bytes] = {}
        self._feeds: dict[Node, tuple[Tensor, ...]] = {}
        for path, node in graph.variables.items():
            self._known[node] = _digest(b"variable", (variables or {}).get(path, path).encode())
        for position, node in enumerate(graph.inputs):
            self._known[node] = _digest(b"input", labels.get(position, f"#{position}").encode())

    def of(self, tensor: Tensor) -> bytes:
        """The fingerprint of one tensor, 16 bytes and the output's port.

        It is computed without recursion, because a deep encoder exceeds Python's stack.
        """
        tensor = see_through(tensor)
        known = self._known
        for node in feeds_first([tensor.node], self._feeding, known):
            feeds = [known[feed.node] + self._port(feed) for feed in self._feeds[node]]
            known[node] = _digest(node.op.encode(), *self._attributes(node), *feeds)
        return known[tensor.node] + self._port(tensor)

    def _attributes(self, node: Node) -> list[bytes]:
        return [node.path.encode()] if node.proto is None else self._attributes_of(node.proto)

    def _attributes_of(self, proto: Any) -> list[bytes]:
        attr = proto.attr
        return [key.encode() + self._value(attr[key]) for key in sorted(attr) if key[0] != "_"]

    def _value(self, value: Any) -> bytes:
        kind = value.WhichOneof("value")
        if kind in HOLD_FUNCTIONS and (called := [value.func] if kind == "func" else value.list.func):
            return b"".join([self._function(function.name) for function in called])
        data: bytes = value.SerializeToString(deterministic=True)
        return data

    def _function(self, name: str) -> bytes:
        """A digest of the body of a function that an operation runs, such as a loop's. Its name says nothing about it.

        The names of the operations in it count. Of a function that is missing, or that runs itself, only the name does.
        """
        function = self._functions.get(name)
        if name not in self._bodies:
            self._bodies[name] = name.encode()
            if function is not None:
                taken = [f"{argument.name} {argument.type}".encode() for argument in function.signature.input_arg]
                nodes = [part for node in sorted(function.node_def, key=_name) for part in self._node(node)]
                given = [part.encode() for result in sorted(function.ret.items()) for part in result]
                self._bodies[name] = _digest(*taken, b"nodes", *nodes, b"results", *given)
        return self._bodies[name]

    def _node(self, proto: Any) -> list[bytes]:
        feeds = [feed.encode() for feed in proto.input]
        return [proto.name.encode(), proto.op.encode(), *feeds, b"attributes", *self._attributes_of(proto)]

    def _port(self, tensor: Tensor) -> bytes:
        """The output of an operation that a tensor is. In a function, an index alone would not tell it.

        There the outputs of TopKV2 are `values:0` and `indices:0`; in a GraphDef, they are `0` and `1`.
        """
        node, port = tensor
        if node.proto is None:
            return b"0"
        known = not port.isdigit() and node.op in self._definitions
        return (str(output_index(port, node.proto, self._definitions[node.op])) if known else port).encode()

    def _feeding(self, node: Node) -> list[Node]:
        """The nodes that feed a node, behind those that only pass on."""
        if node not in self._feeds:
            self._feeds[node] = tuple([see_through(feed) for feed in node.inputs])
        return [feed.node for feed in self._feeds[node]]


def _name(node: Any) -> str:
    name: str = node.name
    return name


def _digest(*parts: bytes) -> bytes:
    lengths_and_parts = b"".join([piece for part in parts for piece in (len(part).to_bytes(4, "little"), part)])
    return hashlib.blake2b(lengths_and_parts, digest_size=16).digest()
