"""Spots in a flat graph, found from the variables that act there instead of from node names.

Node names differ by exporter and release. The weight table knows which variable is a block's intermediate bias, so
every spot is described as "where this weight acts": its dense product, its bias add, its normalisation, its lookup.
Variables are named by their target in the rebuilt encoder.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from surgery.graphs.dataflow import PRODUCTS, SHAPES, SUMS, VALUELESS, constant, through_shapes, upstream
from surgery.graphs.fingerprints import see_through
from surgery.graphs.flat import FlatGraph, Node, Tensor
from surgery.tables.dropouts import Dropout, find_dropouts, other_randomness

READS = SHAPES | {"ReadVariableOp"}
"""Operations through which a variable is read."""
LAST_OF_TWO = (1.0, -1.0)
"""The last axis of a tensor [batch, width], as it is counted from either end."""
LOOKUPS = frozenset({"ResourceGather", "GatherV2", "Gather"})
"""Operations that select rows of a table."""


@dataclass(frozen=True, kw_only=True)
class MaskAdded:
    """A mask that is added to attention logits.

    Attributes:
        logits: The logits before the mask is added.
        mask: The node whose product is added.
        adder: The number that is added to the logits of padding.
    """

    logits: Tensor
    mask: Node
    adder: float


class Anchors:
    """A graph and the targets of its variables; every question is asked by target name.

    Where blocks share their weights, a weight acts once per block: `at(n)` asks about the n-th time.
    """

    def __init__(self, graph: FlatGraph, path_of_target: Mapping[str, str], application: int = 0) -> None:
        self.graph = graph
        self._path_of_target = path_of_target
        self._application = application

    def at(self, application: int) -> Anchors:
        """The same graph, asked about the n-th time that a shared weight acts."""
        return self if application == self._application else Anchors(self.graph, self._path_of_target, application)

    def uses(self, target: str) -> list[tuple[Node, int]]:
        """Nodes that compute with the variable, and at which input, seen through reads and reshapes."""
        handle = self.graph.variables.get(self._path_of_target.get(target, ""))
        found, queue = [], [handle] if handle is not None else []
        while queue:
            for node, position in self.graph.consumers.get(queue.pop(), ()):
                if node.op in READS and position == 0:
                    queue.append(node)
                else:
                    found.append((node, position))
        return found

    def products(self, kernel: str) -> list[tuple[Node, int]]:
        """The matrix products with this kernel, in the order of computation, and at which input it stands."""
        return self._in_order([(node, position) for node, position in self.uses(kernel) if node.op in PRODUCTS])

    def product_input(self, kernel: str) -> Tensor | None:
        """The tensor that is multiplied with this kernel, seen through reshapes."""
        found = self.nth_product(kernel)
        return None if found is None else through_shapes(found[0].inputs[1 - found[1]])

    def nth_product(self, kernel: str) -> tuple[Node, int] | None:
        """The product with this kernel at this application, and at which input the kernel stands."""
        return self._nth(kernel, self.products(kernel))

    def bias_add(self, bias: str) -> Node | None:
        """The addition of this bias."""
        found = self._nth(bias, self._in_order([use for use in self.uses(bias) if use[0].op in SUMS]))
        return None if found is None else found[0]

    def consumers(self, node: Node) -> Iterator[tuple[Node, int]]:
        """The operations that take a node's output, also through those that only hand it on, and at which input."""
        for user, position in self.graph.consumers.get(node, ()):
            if see_through(Tensor(user, "0")).node is user:
                yield user, position
            else:
                yield from self.consumers(user)

    def _in_order(self, uses: list[tuple[Node, int]]) -> list[tuple[Node, int]]:
        return sorted(uses, key=lambda use: self.graph.order[use[0]]) if len(uses) > 1 else uses

    def _nth(self, target: str, uses: list[tuple[Node, int]]) -> tuple[Node, int] | None:
        """The use of this application. A weight that acts once is the same for all of them; targets that share one
        variable take turns within each block."""
        path = self._path_of_target.get(target)
        sharing = [other for other, there in self._path_of_target.items() if there == path]
        turn = self._application * len(sharing) + (sharing.index(target) if target in sharing else 0)
        return uses[min(turn, len(uses) - 1)] if uses else None

    def norm_scale(self, gamma: str) -> Node | None:
        """The inverse standard deviation of the norm with this gamma: an Rsqrt or a FusedBatchNorm node."""
        use = self._nth(gamma, self._in_order(self.uses(gamma)))
        for found in upstream(Tensor(use[0], "0"), stop=PRODUCTS | SUMS) if use is not None else ():
            if found.op == "Rsqrt" or found.op.startswith("FusedBatchNorm"):
                return found
        return None

    def norm_input(self, gamma: str) -> Tensor | None:
        """The tensor that the norm with this gamma normalises."""
        scale = self.norm_scale(gamma)
        if scale is None:
            return None
        if scale.op.startswith("FusedBatchNorm"):
            return through_shapes(scale.inputs[0])
        for found in upstream(Tensor(scale, "0"), stop=PRODUCTS):
            if found.op == "SquaredDifference":
                return through_shapes(found.inputs[0])
        return None

    def norm_output(self, beta: str) -> Node | None:
        """The last addition of the norm with this beta: `x·scale + (beta - mean·scale)`, or `… + beta`."""
        use = self._nth(beta, self._in_order(self.uses(beta)))
        if use is None or use[0].op in SUMS:
            return None if use is None else use[0]
        return next((user for user, _ in self.graph.consumers.get(use[0], ()) if user.op in SUMS), None)

    def softmax_after(self, bias: str) -> tuple[Node | None, tuple[tuple[Node, float], ...]]:
        """The softmax that follows this query bias, and the scalings by a constant on the way to it."""
        start = self.bias_add(bias)
        queue, seen = [start] if start else [], set()
        scalings: list[tuple[Node, float]] = []
        while queue:
            node = queue.pop(0)
            for user, position in self.graph.consumers.get(node, ()):
                if user in seen:
                    continue
                seen.add(user)
                if user.op == "Softmax":
                    return user, tuple(scalings)
                if user.op in ("Mul", "RealDiv") and (factor := constant(user.inputs[1 - position])):
                    scalings.append((user, factor if user.op == "Mul" else 1.0 / factor))
                queue.append(user)
        return None, ()

    def mask_added(self, query_bias: str) -> MaskAdded | None:
        """The mask added before a query's softmax: of the two addends, the product with a negative constant.

        The other addend may be a product with a constant, too: the logits times their positive scale. DistilBERT in
        TensorFlow subtracts the product with a positive constant instead.
        """
        softmax, _ = self.softmax_after(query_bias)
        total = _without_shift(softmax.inputs[0]).node if softmax is not None else None
        signs = {"Add": (1.0, 1.0), "AddV2": (1.0, 1.0), "Sub": (1.0, -1.0)}.get("" if total is None else total.op, ())
        for position, sign in enumerate(signs):
            assert total is not None, "it has signs"
            node = through_shapes(total.inputs[position]).node
            values = [sign * value for factor in node.inputs if (value := constant(factor)) is not None]
            if node.op == "Mul" and values and values[0] < 0:
                return MaskAdded(logits=total.inputs[1 - position], mask=node, adder=float(values[0]))
        return None

    def lookups(self, table: str) -> list[Tensor]:
        """The tensors of ids that select rows of this table, by gather or by the product with their one-hot rows."""
        found = []
        for node, position in self.uses(table):
            if node.op in LOOKUPS:
                found.append(node.inputs[1])
            elif node.op in PRODUCTS and (rows := through_shapes(node.inputs[1 - position]).node).op == "OneHot":
                found.append(rows.inputs[0])
        return found

    def lookup_input(self, table: str) -> Node | None:
        """The graph input whose ids select rows of this embedding table, by gather or by one-hot product.

        An input of which only the shape is used is none: token types may be zeros in the shape of the word ids.
        """
        for node, position in self.uses(table):
            if node.op in LOOKUPS or node.op in PRODUCTS:
                ids = node.inputs[1] if node.op in LOOKUPS else node.inputs[1 - position]
                behind = () if ids.node.op in VALUELESS else upstream(ids, VALUELESS)
                inputs = [found for found in behind if found in self.graph.inputs]
                if len(set(inputs)) == 1:
                    return inputs[0]
        return None

    @cached_property
    def dropouts(self) -> tuple[Dropout, ...]:
        """Every dropout of the graph."""
        return find_dropouts(self.graph)

    @property
    def unread_randomness(self) -> tuple[Node, ...]:
        """Random operations that belong to no dropout of a known form: their purpose is not understood."""
        return other_randomness(self.graph, self.dropouts)


def _without_shift(logits: Tensor) -> Tensor:
    """Logits before a constant was added to all of them, which no softmax shows.

    transformers' stable_softmax adds 1e-9, so that XLA compiles the softmax rightly on a CPU (tf_utils.py).
    """
    found = through_shapes(logits)
    rest = [feed for feed in found.node.inputs if constant(feed) is None] if found.node.op in SUMS else []
    return through_shapes(rest[0]) if len(rest) == 1 else found
