"""The encoder inside the graph of a larger model, such as a classifier that an Estimator exported for serving.

Such a SavedModel has signatures of the whole model, and no call of the encoder. The encoder is found from its weights:
it begins at the ids that its embedding tables look up and at the mask that its attention adds, and ends at the last
block's output and the pooled output. Between these tensors, the graph is a trace of the encoder. Whatever makes the
ids, such as a parser of serialized examples, lies before the trace, and the head lies behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial

from surgery.errors import UnexplainedError
from surgery.explanation.claims import Claim
from surgery.explanation.recognition import find_embedded, find_family
from surgery.formats.tensors import Shape
from surgery.graphs.dataflow import SHAPES
from surgery.graphs.fingerprints import see_through
from surgery.graphs.flat import FlatGraph, Tensor
from surgery.graphs.op_types import definitions_of, output_shapes, output_types
from surgery.graphs.reach import ancestors
from surgery.module import InspectedModule, TensorInfo, Trace, VariableInfo
from surgery.tables.anchors import Anchors
from surgery.tables.family import Family
from surgery.tables.rules import fill

WIDTHLESS = frozenset({"Shape", "Size", "Rank", "Const"})
"""Operations from which no value of an input comes."""
REAL = frozenset({"float32", "float64", "float16", "bfloat16"})
KEPT_IN_PLACE = SHAPES - {"Transpose"}
"""Operations that keep the elements of a tensor in their order."""


def locate_encoder(module: InspectedModule) -> InspectedModule:
    """The module with a trace of the encoder in its graph as its `__call__`. A module with calls is returned as it is.

    Variables that are no weights of the encoder get the reason in `outside`.

    Raises UnexplainedError where no table explains an encoder in it, there are several, or one cannot be cut out.
    """
    if module.whole_graph is None:
        return module
    found = find_embedded(module)
    if not found:
        find_family(module)  # raises, with the nearest table
    if len(found) > 1:
        raise UnexplainedError(
            f"looking for the encoder in the graph of {module.name}: expected one, found {len(found)}",
            hint="save the part of the model that has one encoder",
            details=tuple(f"one has the variables {scope}{variable}" for scope, variable in _examples(found)),
        )
    ((scope, (family, explanation)),) = found.items()
    if family.ends is None:
        raise UnexplainedError(
            f"looking for the encoder in the graph of {module.name}: {family.name} is only found where it has a call"
        )
    graph = module.whole_graph()
    graph.check_order()
    search = _Search(module=module, family=family, claims=explanation.claims, graph=graph)
    trace = search.trace()
    search.refuse_strangers(trace)
    needed, around = _needed(module), {*search.submodels, *(variable.name for variable in explanation.unclaimed)}
    variables = tuple(
        replace(variable, outside=_outside(variable, needed)) if variable.name in around else variable
        for variable in module.variables
    )
    return replace(module, scope=scope, variables=variables, traces=(trace,))


@dataclass(frozen=True, kw_only=True)
class _Search:
    """A graph in which an encoder's ends are looked for.

    Attributes:
        module: The module.
        family: The family of the encoder.
        claims: The encoder's weights.
        graph: The whole graph.
    """

    module: InspectedModule
    family: Family
    claims: tuple[Claim, ...]
    graph: FlatGraph

    def trace(self) -> Trace:
        """The graph between the encoder's inputs and its outputs as a trace. Raises UnexplainedError."""
        inputs, outputs = self._inputs(), dict(self._outputs())
        own = {name: key for key, name in self._signature_inputs()}
        taken = {role: self._info(tensor, own) for role, tensor in inputs.items()}
        given = {name: self._info(tensor, {}) for name, tensor in outputs.items()}
        if len({info.name for info in taken.values()}) < len(taken):
            raise self._unfound(f"two of its inputs are the same tensor: {_listed(taken.values())}")
        return Trace(
            callable="__call__",
            function="the encoder in the graph",
            training=False,
            inputs={info.key: info for info in sorted(taken.values(), key=lambda info: info.key)},
            outputs={name: replace(info, key=name) for name, info in sorted(given.items())},
            captures=(),
            open_graph=cache(
                partial(
                    FlatGraph.of_graph_def,
                    self.graph.root.graph.graph_def,
                    [str(info.name) for info in sorted(taken.values(), key=lambda info: info.key)],
                    [str(info.name) for _, info in sorted(given.items())],
                )
            ),
        )

    @property
    def submodels(self) -> tuple[str, ...]:
        """Names of weights of sub-models, which have no call here, and of a pooler that no operation uses."""
        anchors = self._anchors
        return tuple(
            claim.variable.name
            for claim in self.claims
            if claim.targets and (claim.rule.part != "encoder" or not any(map(anchors.uses, claim.targets)))
        )

    def refuse_strangers(self, trace: Trace) -> None:
        """Raises UnexplainedError where variables that no row claims, or random numbers, act in the encoder."""
        graph = trace.open_graph()
        read = {feed.node.path for node in graph.nodes for feed in node.inputs if feed.node.path in graph.variables}
        strangers = sorted(read - {claim.variable.address for claim in self.claims if claim.targets})
        if strangers:
            raise UnexplainedError(
                f"looking for the encoder in the graph of {self.module.name}: variables act in it that no row of the "
                f"weight table of {self.family.name} claims",
                hint="surgery converts BERT encoders without further weights inside",
                details=tuple(strangers),
            )
        anchors = Anchors(graph, {})
        if random := [drop.result.path for drop in anchors.dropouts] + [n.path for n in anchors.unread_randomness]:
            raise UnexplainedError(
                f"looking for the encoder in the graph of {self.module.name}: the graph draws random numbers, so it "
                "was made for training",
                hint="export the model for serving, in the mode PREDICT",
                details=tuple(random),
            )

    @property
    def _anchors(self) -> Anchors:
        targets = {target: claim.variable.address for claim in self.claims for target in claim.targets}
        return Anchors(self.graph, targets)

    def _inputs(self) -> dict[str, Tensor]:
        """The tensor that the encoder takes in place of each of its inputs, int or float [batch, seq]."""
        found = {}
        for anchor in self.family.inputs:
            if anchor.table is None:
                found[anchor.name] = self._mask()
                continue
            ids = self._anchors.lookups(anchor.table)
            if len(ids) != 1:
                raise self._unfound(
                    f"expected one look-up of {anchor.name} in {anchor.table}, found {len(ids)}"
                    + ("; the graph runs the encoder more than once" if ids else "")
                )
            found[anchor.name] = self._given(ids[0])
        return found

    def _mask(self) -> Tensor:
        """The mask of the tokens, from which the first block makes what it adds to the logits."""
        assert self.family.ends is not None, "locate_encoder refuses such a family"
        added = self._anchors.mask_added(fill(self.family.ends.attention, {"layer": "0"}))
        if added is None:
            raise self._unfound("its first block adds no mask to the attention logits")
        found: dict[Tensor, None] = {}
        stack, seen = [Tensor(added.mask, "0")], set()
        while stack:
            tensor = see_through(stack.pop())
            node = tensor.node
            if node in seen or node.op in WIDTHLESS:
                continue
            seen.add(node)
            if node.op == "Cast" and self._dtype(node.inputs[0]) not in REAL:
                found[self._given(node.inputs[0])] = None
            elif not node.inputs:
                found[tensor] = None
            elif node.op == "Fill":
                stack.append(node.inputs[1])
            else:
                stack += node.inputs[:1] if node.op in SHAPES else node.inputs
        if len(found) != 1:
            names = ", ".join(_name(tensor) for tensor in found) or "none"
            raise self._unfound(f"expected one tensor from which its mask is made, found {names}")
        return next(iter(found))

    def _given(self, tensor: Tensor) -> Tensor:
        """The tensor [batch, seq] behind casts and reshapes of it."""
        path = [see_through(tensor)]
        while path[-1].node.op in KEPT_IN_PLACE:
            path.append(see_through(path[-1].node.inputs[0]))
        ranks = {number: len(shape) for number, found in enumerate(path) if (shape := self._shape(found)) is not None}
        whole = [number for number, rank in ranks.items() if rank == 2] or [
            n for n in range(len(path)) if n not in ranks
        ]
        if not whole:
            shapes = ", ".join(f"{_name(found)} has {ranks[number]} axes" for number, found in enumerate(path))
            raise self._unfound(f"expected ids of two axes, batch and tokens; {shapes}")
        return path[max(whole)]

    def _outputs(self) -> Iterator[tuple[str, Tensor]]:
        ends = self.family.ends
        assert ends is not None, "locate_encoder refuses such a family"
        last, shared = self._last_block()
        norm = self._anchors.at(last if shared else 0).norm_output(fill(ends.sequence, {"layer": str(last)}))
        if norm is None:
            raise self._unfound("its last block ends in no norm")
        yield "sequence_output", Tensor(norm, "0")
        dense = self._anchors.bias_add(ends.pooled)
        if dense is not None:
            activated = [node for node, _ in self.graph.consumers.get(dense, ()) if node.op == "Tanh"]
            yield "pooled_output", Tensor((*activated, dense)[0], "0")

    def _last_block(self) -> tuple[int, bool]:
        """The number of the last block, and whether all blocks share their weights."""
        if self.family.repeated is not None:
            return len(self._anchors.products(self.family.block_input.kernel)) - 1, True
        return max(int(claim.holes["layer"]) for claim in self.claims if "layer" in claim.holes), False

    def _signature_inputs(self) -> Iterator[tuple[str, str]]:
        for signature in self.module.signatures.values():
            yield from ((tensor.key, str(tensor.name)) for tensor in signature.inputs)

    def _info(self, tensor: Tensor, keys: Mapping[str, str]) -> TensorInfo:
        node = tensor.node
        if node.proto is not None and node.body is not self.graph.root:
            raise self._unfound(f"{node.path} stands in a function that the graph calls")
        name = _name(tensor)
        return TensorInfo(
            key=keys.get(name, name.removesuffix(":0")),
            dtype=self._dtype(tensor),
            shape=self._shape(tensor),
            name=name,
        )

    def _dtype(self, tensor: Tensor) -> str:
        types = output_types(tensor.node.proto, definitions_of(self.module.inference_graph))
        return types[int(tensor.port)]

    def _shape(self, tensor: Tensor) -> Shape | None:
        proto = tensor.node.proto
        if proto is None:
            return None
        return output_shapes(proto, len(output_types(proto, definitions_of(self.module.inference_graph))))[
            int(tensor.port)
        ]

    def _unfound(self, because: str) -> UnexplainedError:
        return UnexplainedError(
            f"looking for the encoder in the graph of {self.module.name}: {because}",
            hint="surgery finds BERT as google-research's modeling.py builds it; `surgery graph` lists the tensors",
        )


def _needed(module: InspectedModule) -> frozenset[str]:
    """Names of the operations on which the outputs of the module's signatures depend."""
    nodes = {node.name: node for node in module.inference_graph.graph_def.node}
    outputs = [str(tensor.name) for signature in module.signatures.values() for tensor in signature.outputs]
    return frozenset(ancestors(nodes, outputs))


def _outside(variable: VariableInfo, needed: frozenset[str]) -> str:
    if variable.name in needed:
        return "a weight of the model around the encoder, not of the encoder"
    return "no output of the model depends on it"


def _examples(found: Mapping[str, tuple[Family, object]]) -> Iterator[tuple[str, str]]:
    for scope, (family, _) in found.items():
        yield scope, f"… of {family.name}"


def _listed(infos: Iterable[TensorInfo]) -> str:
    return ", ".join(str(info.name) for info in infos)


def _name(tensor: Tensor) -> str:
    return f"{tensor.node.path}:{tensor.port}"
