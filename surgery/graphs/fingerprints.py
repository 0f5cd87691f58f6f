"""Fingerprints of the computation behind a tensor. Equal fingerprints mean the same operations on the same operands.

Operations, attributes, constants, variables and inputs count; names, scopes and call boundaries do not. A tensor of one
function can therefore be recognised in another function that was traced from the same code. Keras traces a model twice
when it saves it, as `__call__` and as `serving_default`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from surgery.graphs.flat import FlatGraph, Node, Tensor
from surgery.graphs.op_types import TRANSPARENT, handed_on
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
    of two modules that have one name are taken for the same.
    """

    def __init__(self, graph: FlatGraph, labels: Mapping[int, str], variables: Mapping[str, str] | None = None) -> None:
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
            feeds = [known[feed.node] + _port(feed) for feed in self._feeds[node]]
            known[node] = _digest(node.op.encode(), *_attributes(node), *feeds)
        return known[tensor.node] + _port(tensor)

    def _feeding(self, node: Node) -> list[Node]:
        """The nodes that feed a node, behind those that only pass on."""
        if node not in self._feeds:
            self._feeds[node] = tuple([see_through(feed) for feed in node.inputs])
        return [feed.node for feed in self._feeds[node]]


def _attributes(node: Node) -> list[bytes]:
    if node.proto is None:
        return [node.path.encode()]
    attr = node.proto.attr
    return [key.encode() + attr[key].SerializeToString(deterministic=True) for key in sorted(attr) if key[0] != "_"]


def _port(tensor: Tensor) -> bytes:
    """The output of an operation that a tensor is. In a function, an index alone would not tell it.

    There the outputs of TopKV2 are `values:0` and `indices:0`; in a GraphDef, they are `0` and `1`.
    """
    return b"0" if tensor.node.proto is None else tensor.port.encode()


def _digest(*parts: bytes) -> bytes:
    lengths_and_parts = b"".join([piece for part in parts for piece in (len(part).to_bytes(4, "little"), part)])
    return hashlib.blake2b(lengths_and_parts, digest_size=16).digest()
