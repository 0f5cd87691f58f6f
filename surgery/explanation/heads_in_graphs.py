"""A head as the graph around an encoder shows it: the dense layer of labels behind each output, and what it reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from surgery.explanation.claims import Claim
from surgery.explanation.ends import Ends, name_of
from surgery.explanation.heads import LINEAR, LOGITS, DenseHead, Head, HeadGraph, HiddenLayer, OtherHead
from surgery.graphs.dataflow import PRODUCTS, SUMS, through_shapes, upstream
from surgery.graphs.fingerprints import see_through
from surgery.graphs.flat import FlatGraph, Node, Tensor
from surgery.graphs.merging import Input
from surgery.graphs.op_types import definitions_of, is_set
from surgery.module import InspectedModule, VariableInfo
from surgery.tables.anchors import Anchors
from surgery.tables.family import Family
from surgery.tables.first_token import is_first_token
from surgery.tables.head import HIDDEN_BIAS
from surgery.tables.pooler import activated
from surgery.tables.readers import activation_after

ACTIVATIONS = {"Softmax": "softmax", "Sigmoid": "sigmoid", "LogSoftmax": "log_softmax"}
"""Activations of logits by the operation that computes them along the last axis."""
HIDDEN_ACTS = ("tanh", "relu", "gelu", "gelu_tanh")
"""Activations that a hidden layer may have: those that an encoder here can compute."""


def find_head(module: InspectedModule, family: Family, claims: tuple[Claim, ...]) -> Head | None:
    """The head of the model around an encoder; None for a module that is an encoder alone."""
    others: list[OtherHead] = []
    for ends, outputs in _surroundings(module, family, claims):
        found = _Reading(module=module, ends=ends, outputs=outputs).head()
        if isinstance(found, DenseHead):
            return found
        others += [] if found is None else [found]
    return others[0] if others else None


def _surroundings(
    module: InspectedModule, family: Family, claims: tuple[Claim, ...]
) -> Iterator[tuple[Ends, Mapping[str, Tensor]]]:
    """The graphs of the model around the encoder, each with its outputs by key."""

    def ends_in(graph: FlatGraph, given: Mapping[Node, str]) -> Ends:
        definitions = definitions_of(module.inference_graph)
        return Ends(name=module.name, family=family, claims=claims, graph=graph, definitions=definitions, given=given)

    if module.whole_graph is not None:
        graph = module.whole_graph()
        names = {key: str(t.name) for s in reversed(module.signatures.values()) for key, t in s.flat_outputs}
        yield ends_in(graph, {}), {key: graph.tensor(graph.root.owner(name)) for key, name in names.items()}
    dropped = any(not claim.targets for claim in claims)  # such as the head that an export has kept
    for trace in (module.around or (module.signature_traces if dropped else {})).values():
        graph = trace.open_graph()
        given = {node: leaf.dtype for node, (_, leaf) in zip(graph.inputs, trace.flat_inputs, strict=True)}
        yield ends_in(graph, given), dict(zip((path for path, _ in trace.flat_outputs), graph.outputs, strict=True))


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """The outputs of a model around an encoder, as they are read.

    Attributes:
        module: The module.
        ends: The encoder in the model's graph.
        outputs: The model's outputs by key.
    """

    module: InspectedModule
    ends: Ends
    outputs: Mapping[str, Tensor]

    def head(self) -> Head | None:
        """The head that makes these outputs; None where they are the encoder's own."""
        own = {claim.variable.address for claim in self.ends.claims if claim.targets}
        made = {key: self._read_by(tensor) for key, tensor in self.outputs.items()}
        variables = sorted({name for names in made.values() for name in names} - own)
        if not variables:
            return None
        read = {key: self._dense(tensor) for key, tensor in self.outputs.items()}
        dense = {key: found for key, found in read.items() if found is not None and found.weights <= set(variables)}
        logits = {see_through(found.logits) for found in dense.values()}
        if len(logits) != 1:
            return OtherHead(
                outputs=tuple(sorted(self.outputs)),
                variables=tuple(self._names.get(address, address) for address in variables),
                because=self._because(variables) if not logits else f"its outputs come from {len(logits)} dense layers",
            )
        first = next(iter(dense.values()))
        activations = {key: dense[key].activation for key in sorted(dense)}
        tensors = {key: self.outputs[key] for key in activations}
        if LINEAR not in activations.values():
            activations[LOGITS], tensors[LOGITS] = LINEAR, first.logits
        for layer in (first,) if first.hidden is None else (first.hidden, first):  # the last one gives the labels
            kernel, bias = self._weights(layer)
            width = kernel.shape[0 if layer.transposed else 1]
            if bias is not None and bias.shape != (width,):
                return OtherHead(
                    outputs=tuple(sorted(self.outputs)),
                    variables=tuple(sorted((kernel.name, bias.name))),
                    because=f"its bias has the shape {list(bias.shape)}, expected [{width}]",
                )
        return DenseHead(
            kernel=kernel,
            transposed=first.transposed,
            bias=bias,
            labels=width,
            hidden=None if first.hidden is None else self._layer(first.hidden),
            outputs=activations,
            inner=tuple(activations.keys() - self.outputs.keys()),
            others=tuple(sorted(self.outputs.keys() - activations.keys())),
            open_graph=lambda: self._graph(tensors),
        )

    def _layer(self, hidden: _Dense) -> HiddenLayer:
        kernel, bias = self._weights(hidden)
        assert bias is not None, "it was found from its bias"
        return HiddenLayer(kernel=kernel, transposed=hidden.transposed, bias=bias, activation=hidden.activation)

    def _weights(self, layer: _Dense) -> tuple[VariableInfo, VariableInfo | None]:
        """The kernel and the bias of a layer."""
        by_address = {variable.address: variable for variable in self.module.variables}
        return by_address[layer.kernel], None if layer.bias is None else by_address[layer.bias]

    def _graph(self, outputs: Mapping[str, Tensor]) -> HeadGraph:
        """The graph from the encoder's inputs to these outputs. One of a GraphDef is cut there, as the encoder's is."""
        graph = self.ends.graph
        if (own := self._own_inputs()) is not None:
            return HeadGraph(graph=graph, inputs=own, outputs=outputs)
        taken = self.ends.inputs()
        inputs = [Input(name=role, dtype=self.ends.dtype(tensor)) for role, tensor in taken.items()]
        if self.module.whole_graph is None:
            nodes = [tensor.node for tensor in taken.values()]
            return HeadGraph(graph=graph, inputs=dict(zip(nodes, inputs, strict=True)), outputs=outputs)
        names = [[name_of(tensor) for tensor in side.values()] for side in (taken, outputs)]
        cut = FlatGraph.of_graph_def(graph.root.graph.graph_def, *names)
        return HeadGraph(
            graph=cut,
            inputs=dict(zip(cut.inputs, inputs, strict=True)),
            outputs=dict(zip(outputs, cut.outputs, strict=True)),
        )

    def _own_inputs(self) -> dict[Node, Input] | None:
        """The graph's own inputs, where there is one for each of the encoder's; else None."""
        graph, roles = self.ends.graph, self.ends.family.inputs
        looked_up = [(role, self.ends.anchors.lookup_input(role.table)) for role in roles if role.table is not None]
        nodes = {role.name: node for role, node in looked_up if node is not None or not role.choice}
        rest = [node for node in graph.inputs if node not in nodes.values()]
        if None in nodes.values() or len(set(nodes.values())) != len(nodes) or len(rest) != 1:
            return None
        (mask,) = (anchor.name for anchor in roles if anchor.table is None)
        found = {node: role for role, node in (*nodes.items(), (mask, rest[0])) if node is not None}
        return {node: Input(name=role, dtype=self.ends.given[node]) for node, role in found.items()}

    @property
    def _names(self) -> dict[str, str]:
        return {variable.address: variable.name for variable in self.module.variables}

    def _read_by(self, tensor: Tensor) -> set[str]:
        """Addresses of the variables that a tensor is computed from."""
        held = set(self.ends.graph.variables.values())
        return {node.path for node in upstream(tensor) if node in held}

    def _dense(self, tensor: Tensor) -> _Dense | None:
        """The dense layer of labels behind a tensor; None where the tensor is something else."""
        tensor = see_through(tensor)
        activation = ACTIVATIONS.get(tensor.node.op, LINEAR)
        logits = tensor if activation == LINEAR else see_through(tensor.node.inputs[0])
        product, bias = logits.node, None
        for position in (0, 1) if product.op in SUMS else ():
            bias = self._variable(logits.node.inputs[1 - position])
            if bias is not None:
                product = see_through(logits.node.inputs[position]).node
                break
        kernel = self._kernel(product)
        if kernel is None:
            return None
        taken, pooled, hidden = see_through(product.inputs[0]), self.ends.pooled, None
        if pooled is None or taken.node is not pooled.node:
            hidden = self._hidden(taken)
            if hidden is None:
                return None
        transposed = is_set(product, "transpose_b")
        return _Dense(
            kernel=kernel, transposed=transposed, bias=bias, logits=logits, activation=activation, hidden=hidden
        )

    def _kernel(self, product: Node) -> str | None:
        """The address of the variable by which rows are multiplied; None for a node that is no such product."""
        if product.op != "MatMul" or is_set(product, "transpose_a"):
            return None
        return self._variable(product.inputs[1])

    def _hidden(self, tensor: Tensor) -> _Dense | None:
        """The dense layer on the first token that gives a tensor by its activation; None for anything else."""
        if self.ends.family.ends is None:
            return None
        for node in upstream(tensor, PRODUCTS):
            sides = [(self._variable(feed), other) for feed, other in _pairs(node)] if node.op in SUMS else []
            for bias, other in sides:
                product = see_through(other).node
                kernel = None if bias is None else self._kernel(product)
                if bias is None or kernel is None or not is_first_token(product.inputs[0], self.ends.sequence.node):
                    continue
                anchors = Anchors(self.ends.graph, {HIDDEN_BIAS: bias})
                given, read = activated(anchors, HIDDEN_BIAS), activation_after(anchors, HIDDEN_BIAS)
                if given is not None and given.node is tensor.node and read is not None and read.value in HIDDEN_ACTS:
                    transposed = is_set(product, "transpose_b")
                    logits = Tensor(node, "0")
                    return _Dense(
                        kernel=kernel, transposed=transposed, bias=bias, logits=logits, activation=str(read.value)
                    )
        return None

    def _variable(self, tensor: Tensor) -> str | None:
        """The address of the variable that a tensor is the value of; None where it is something else."""
        node = see_through(tensor).node
        if node.op == "ReadVariableOp":
            node = see_through(node.inputs[0]).node
        return node.path if self.ends.graph.variables.get(node.path) is node else None

    def _because(self, variables: list[str]) -> str:
        """What stands where a dense layer of labels was looked for, in words."""
        if self.ends.family.ends is None:
            return f"the pooled output of {self.ends.family.name} is not looked for in a larger graph"
        sequence = self.ends.sequence.node
        for key, tensor in sorted(self.outputs.items()):
            for node in upstream(tensor):
                read = [name for feed in node.inputs if (name := self._variable(feed)) in variables]
                if node.op in PRODUCTS and read:
                    other = [through_shapes(feed) for feed in node.inputs if self._variable(feed) is None]
                    what = ", ".join("the sequence output" if t.node is sequence else name_of(t) for t in other)
                    return f"{key} comes from a product of {self._names.get(read[0], read[0])} with {what}"
        return f"{', '.join(sorted(self.outputs))}: no dense layer of labels gives it"


@dataclass(frozen=True, kw_only=True)
class _Dense:
    """A dense layer behind a tensor.

    Attributes:
        kernel: The address of its kernel.
        transposed: As in DenseHead.
        bias: The address of its bias, or None.
        logits: What it gives.
        activation: What then makes the tensor.
        hidden: The dense layer that gives its input; None where that is the pooled output.
    """

    kernel: str
    transposed: bool
    bias: str | None
    logits: Tensor
    activation: str
    hidden: _Dense | None = None

    @property
    def weights(self) -> set[str]:
        """The addresses of its kernel and its bias, and of those of the layer before it."""
        own = {self.kernel} if self.bias is None else {self.kernel, self.bias}
        return own if self.hidden is None else own | self.hidden.weights


def _pairs(node: Node) -> tuple[tuple[Tensor, Tensor], ...]:
    """The two inputs of a sum, each before the other one."""
    left, right = node.inputs
    return (left, right), (right, left)
