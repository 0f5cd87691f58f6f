"""The ends of an encoder in the graph of a larger model: the tensors that it takes and gives there.

An encoder begins at the ids that its embedding tables look up and at the mask that its attention adds. It ends at the
output of its last block and at the pooled output. Whatever makes the ids, such as a parser of serialized examples, lies
before it, and the head lies behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from surgery.errors import UnexplainedError
from surgery.explanation.claims import Claim
from surgery.formats.tensors import Shape, shape_of
from surgery.graphs.dataflow import SHAPES, VALUELESS
from surgery.graphs.fingerprints import see_through
from surgery.graphs.flat import FlatGraph, Node, Tensor
from surgery.graphs.op_types import output_index, output_shapes, output_types
from surgery.graphs.reach import PLACEHOLDERS
from surgery.tables.anchors import Anchors
from surgery.tables.family import Family
from surgery.tables.pooler import activated
from surgery.tables.rules import fill

IN_PLACE = SHAPES - {"Transpose"}
"""Operations that keep the elements of a tensor in their order."""
REAL = frozenset({"float32", "float64", "float16", "bfloat16"})


@dataclass(frozen=True, kw_only=True)
class Ends:
    """An encoder in a graph, whose ends are looked for.

    Attributes:
        name: Name of the module, for messages.
        family: The family of the encoder.
        claims: The encoder's weights.
        graph: The graph.
        definitions: OpDefs by type of operation.
        given: Dtypes of the graph's own inputs, where they are arguments of a function.
    """

    name: str
    family: Family
    claims: tuple[Claim, ...]
    graph: FlatGraph
    definitions: Mapping[str, Any]
    given: Mapping[Node, str] = field(default_factory=dict)

    @cached_property
    def anchors(self) -> Anchors:
        """The graph, anchored at the encoder's weights."""
        targets = {target: claim.variable.address for claim in self.claims for target in claim.targets}
        return Anchors(self.graph, targets)

    @property
    def pooled(self) -> Tensor | None:
        """The pooler's output, see pooler.activated; None where the graph does not compute it."""
        ends = self.family.ends
        return None if ends is None or ends.pooled is None else activated(self.anchors, ends.pooled)

    @property
    def sequence(self) -> Tensor:
        """The output of the last block. Raises UnexplainedError."""
        ends = self.family.ends
        if ends is None:
            raise self._only_with_a_call()
        if self.family.repeated is not None:
            last = len(self.anchors.products(self.family.block_input.kernel)) - 1
            norm = self.anchors.at(last).norm_output(ends.sequence)
        else:
            last = max(int(claim.holes["layer"]) for claim in self.claims if "layer" in claim.holes)
            norm = self.anchors.norm_output(fill(ends.sequence, {"layer": str(last)}))
        if norm is None:
            raise self.unfound("its last block ends in no norm")
        return Tensor(norm, "0")

    def inputs(self) -> dict[str, Tensor]:
        """The tensor [batch, seq] that stands for each of the encoder's inputs. Raises UnexplainedError."""
        if self.family.ends is None or self.family.ends.attention is None:
            raise self._only_with_a_call()
        found = {}
        for anchor in self.family.inputs:
            if anchor.table is None:
                found[anchor.name] = self._mask()
                continue
            ids = self.anchors.lookups(anchor.table)
            if len(ids) != 1:
                more = "; the graph runs the encoder more than once" if ids else ""
                raise self.unfound(f"expected one look-up of {anchor.name} in {anchor.table}, found {len(ids)}{more}")
            found[anchor.name] = self._behind(ids[0])
        if len(set(found.values())) < len(found):
            raise self.unfound(f"two of its inputs are one tensor: {', '.join(map(name_of, found.values()))}")
        return found

    def dtype(self, tensor: Tensor) -> str:
        """The dtype of a tensor, by TensorFlow's name."""
        if tensor.node in self.given:
            return self.given[tensor.node]
        return output_types(tensor.node.proto, self.definitions)[self._index(tensor)]

    def shape(self, tensor: Tensor) -> Shape | None:
        """The shape of a tensor, as far as the graph shows it."""
        proto = tensor.node.proto
        shape = output_shapes(proto, len(output_types(proto, self.definitions)))[self._index(tensor)]
        if shape is None and proto.op in PLACEHOLDERS and "shape" in proto.attr:
            return shape_of(proto.attr["shape"].shape)
        return shape

    def unfound(self, because: str) -> UnexplainedError:
        """The error that says why the encoder could not be cut out."""
        return UnexplainedError(
            f"looking for the encoder in the graph of {self.name}: {because}",
            hint="surgery finds an encoder as google-research's modeling.py builds it, once in a graph",
        )

    def _only_with_a_call(self) -> UnexplainedError:
        return self.unfound(f"{self.family.name} is only found where it has a call of its own")

    def _index(self, tensor: Tensor) -> int:
        node = tensor.node
        return output_index(tensor.port, node.proto, self.definitions[node.op]) if node.op in self.definitions else 0

    def _mask(self) -> Tensor:
        """The mask of the tokens, from which the first block makes what it adds to the logits."""
        ends = self.family.ends
        kernel = None if ends is None else ends.attention
        added = None if kernel is None else self.anchors.mask_added(fill(kernel, {"layer": "0"}))
        if added is None:
            raise self.unfound("its first block adds no mask to the attention logits")
        found: dict[Tensor, None] = {}
        stack, seen = [Tensor(added.mask, "0")], set[Node]()
        while stack:
            tensor = see_through(stack.pop())
            node = tensor.node
            if node in seen or node.op in VALUELESS:
                continue
            seen.add(node)
            if node.op == "Cast" and self.dtype(node.inputs[0]) not in REAL:
                found[self._behind(node.inputs[0])] = None
            elif not node.inputs:
                found[tensor] = None
            elif node.op == "Fill":
                stack.append(node.inputs[1])
            else:
                stack += node.inputs[:1] if node.op in SHAPES else node.inputs
        if len(found) != 1:
            names = ", ".join(map(name_of, found)) or "none"
            raise self.unfound(f"expected one tensor from which its mask is made, found {names}")
        return next(iter(found))

    def _behind(self, tensor: Tensor) -> Tensor:
        """The tensor [batch, seq] behind casts and reshapes of it."""
        path = [see_through(tensor)]
        while path[-1].node.op in IN_PLACE:
            path.append(see_through(path[-1].node.inputs[0]))
        shapes = [self.shape(found) if found.node.proto is not None else None for found in path]
        fitting = [number for number, shape in enumerate(shapes) if shape is not None and len(shape) == 2]
        fitting = fitting or [number for number, shape in enumerate(shapes) if shape is None]
        if not fitting:
            found = ", ".join(f"{name_of(t)} has {len(s or ())} axes" for t, s in zip(path, shapes, strict=True))
            raise self.unfound(f"expected ids of two axes, batch and tokens; {found}")
        return path[max(fitting)]


def name_of(tensor: Tensor) -> str:
    """The name of a tensor of a GraphDef, such as "input_ids:0"."""
    return f"{tensor.node.path}:{tensor.port}"
