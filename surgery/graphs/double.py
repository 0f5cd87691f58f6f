"""A graph in double precision: the same function, with rounding errors that are a billion times smaller.

Every float32 type becomes float64, and every constant is widened exactly. Variables keep their float32 bits, so that
memory does not double: a value is widened where it is computed with, behind the operations that only move it. Each
widening waits for the other operand of its operation, or all of a model's weights would be widened before any is used.
A variable as large as a table of word embeddings is widened in parts, where it is the kernel of a product.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from surgery.graphs.functions import called_functions
from surgery.graphs.large_products import LARGE, Product, in_parts
from surgery.graphs.names import unused
from surgery.graphs.op_types import READS
from surgery.graphs.reach import ancestors, owner
from surgery.graphs.widening import cast, copy_attributes, is_float, one_value, widen_function

MOVES = frozenset(
    {
        "ExpandDims",
        "Gather",
        "GatherNd",
        "GatherV2",
        "Identity",
        "Reshape",
        "Slice",
        "Squeeze",
        "StridedSlice",
        "Transpose",
    }
)
"""Operations that only choose and arrange elements of their first input."""


@dataclass(frozen=True, kw_only=True)
class Double:
    """A graph in double precision.

    Attributes:
        graph_def: The GraphDef. Its free names are those of the float32 graph, with their dtypes.
        tensors: The name of each output's tensor, float64, by the output's name.
        lacking: The types of operations without a kernel for float64 behind each output that is left out for them.
    """

    graph_def: Any
    tensors: Mapping[str, str]
    lacking: Mapping[str, tuple[str, ...]]


def in_double(
    graph_def: Any,
    tensors: Mapping[str, str],
    narrow: Iterable[str] = (),
    exact: Mapping[float, float] | None = None,
    has_kernel: Callable[[Any], bool] = lambda node: True,
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> Double:
    """Re-types a graph to double precision.

    Args:
        graph_def: A GraphDef without calls, in which each operation stands after those that feed it.
        tensors: The name of the tensor behind each output, by the output's name.
        narrow: Free names that stand for float32 tensors, not for handles of variables.
        exact: What to put in place of scalar constants, by their float32 value.
        has_kernel: Whether an operation, as it is written, can be run.
        shapes: The shapes of variables, by the free name that stands for the handle.
    """
    taken = {node.name for node in graph_def.node}
    widening = _Widening(type(graph_def)(), {f"{name}:0" for name in narrow}, exact or {}, taken, shapes or {})
    widening.graph_def.versions.CopyFrom(graph_def.versions)
    for node in graph_def.node:
        widening.add(node)
    for function in graph_def.library.function:
        widen_function(widening.graph_def.library.function.add(), function, exact or {})
    wide = {name: widening.wide(tensor, f"output_{number}") for number, (name, tensor) in enumerate(tensors.items())}
    missing = _missing(widening.graph_def, has_kernel)
    lacking = {name: missing[owner(tensor)] for name, tensor in wide.items() if missing.get(owner(tensor))}
    kept = {name: tensor for name, tensor in wide.items() if name not in lacking}
    prune(widening.graph_def, kept.values())
    return Double(graph_def=widening.graph_def, tensors=kept, lacking=lacking)


def scalars(graph_def: Any) -> tuple[float, ...]:
    """The float32 constants of one element, in order of first use."""
    found: dict[float, None] = {}
    for node in [*graph_def.node, *(node for function in graph_def.library.function for node in function.node_def)]:
        value = one_value(node.attr["value"].tensor) if node.op == "Const" else None
        if value is not None:
            found[value] = None
    return tuple(found)


class _Widening:
    """The graph that is written, and the names of its tensors that still are float32."""

    def __init__(
        self,
        graph_def: Any,
        narrow: set[str],
        exact: Mapping[float, float],
        taken: set[str],
        shapes: Mapping[str, Sequence[int]],
    ) -> None:
        self.graph_def, self._narrow, self._exact, self._taken = graph_def, narrow, exact, taken
        self._handles, self._shapes = shapes, dict[str, Sequence[int]]()
        self._computed: set[str] = set()

    def add(self, node: Any) -> None:
        """Writes an operation that stands after those that feed it."""
        inputs = list(node.input)
        moved = node.op in MOVES and inputs[0] in self._narrow
        if node.op in READS or moved:
            written = self.graph_def.node.add()
            written.CopyFrom(node)
            if is_float(node):
                self._narrow.add(f"{node.name}:0")
                if node.op == "ReadVariableOp" and owner(inputs[0]) in self._handles:
                    self._shapes[f"{node.name}:0"] = self._handles[owner(inputs[0])]
            return
        if node.op == "MatMul" and self._is_large(inputs[1]) and inputs[0] not in self._narrow:
            product = Product(node=node, kernel=self._shapes[inputs[1]], taken=self._taken)
            in_parts(self.graph_def, product, self._exact)
            self._computed.add(node.name)
            return
        later = [feed for feed in inputs if owner(feed) in self._computed]
        wide = [self.wide(feed, f"{node.name}/{position}", later[:1]) for position, feed in enumerate(inputs)]
        written = self.graph_def.node.add(name=node.name, op=node.op, input=wide)
        copy_attributes(written, node, self._exact)
        if inputs:
            self._computed.add(node.name)

    def _is_large(self, tensor: str) -> bool:
        return math.prod(self._shapes.get(tensor, ())) > LARGE

    def wide(self, tensor: str, place: str, after: Sequence[str] = ()) -> str:
        """The tensor in float64, widened at `place` when the tensors `after` are there."""
        if tensor not in self._narrow:
            return tensor
        name = unused(f"{place}/widened", self._taken)
        cast(self.graph_def.node.add(), name, [tensor, *(f"^{owner(feed)}" for feed in after)])
        return f"{name}:0"


def _missing(graph_def: Any, has_kernel: Callable[[Any], bool]) -> dict[str, tuple[str, ...]]:
    """For each operation that cannot be run in float64, the types that lack a kernel, itself or behind it.

    An operation that calls functions, such as a loop, lacks what these lack.
    """
    functions = {function.signature.name: function for function in graph_def.library.function}
    lacked: dict[str, frozenset[str]] = {}

    def lacks(node: Any) -> frozenset[str]:
        called = [functions[name] for name in (node.op, *called_functions(node)) if name in functions]
        own = frozenset() if node.op in functions or has_kernel(node) else frozenset({node.op})
        return own.union(*(lacked_by(function) for function in called))

    def lacked_by(function: Any) -> frozenset[str]:
        name = function.signature.name
        if name not in lacked:
            lacked[name] = frozenset()  # a function that calls itself lacks what its other operations lack
            lacked[name] = frozenset().union(*(lacks(node) for node in function.node_def))
        return lacked[name]

    missing: dict[str, tuple[str, ...]] = {}
    for node in graph_def.node:
        behind = {op for feed in node.input for op in missing.get(owner(feed), ())} | lacks(node)
        if behind:
            missing[node.name] = tuple(sorted(behind))
    return missing


def prune(graph_def: Any, tensors: Iterable[str]) -> None:
    """Removes all operations that are not needed for these tensors."""
    nodes = {node.name: node for node in graph_def.node}
    needed = ancestors(nodes, tensors)
    if len(needed) < len(nodes):
        kept = [node for node in graph_def.node if node.name in needed]
        del graph_def.node[:]
        graph_def.node.extend(kept)
