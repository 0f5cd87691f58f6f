"""The head of the model around an encoder: what makes its signatures' outputs of the encoder's.

A dense layer on the pooled output, with or without an activation, is what a classifier has; some have a hidden layer on
the first token instead. Both are read as data: kernels, biases, the number of labels, and the activations. Any other
head is only named.
A graph shows it (surgery.explanation.heads_in_graphs), or a checkpoint's config (surgery.explanation.heads_in_configs).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from surgery.graphs.flat import FlatGraph, Node, Tensor
from surgery.graphs.merging import Input
from surgery.module import VariableInfo
from surgery.plain import plain
from surgery.tables.head import BIAS, DENSE, HIDDEN_BIAS, HIDDEN_KERNEL, KERNEL, LABELS

LOGITS = "logits"
LINEAR = "linear"


@dataclass(frozen=True, kw_only=True)
class HeadGraph:
    """The graph of an encoder with its head.

    Attributes:
        graph: The graph.
        inputs: The encoder's input for which each node stands.
        outputs: The head's outputs, by name.
    """

    graph: FlatGraph
    inputs: Mapping[Node, Input]
    outputs: Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Labelling:
    """What is stated of a head's labels beside its weights. No graph shows it, so that each may be missing.

    Attributes:
        names: The names of the labels; None if they have none.
        problem: The kind of labels, by transformers' word, such as "multi_label_classification"; None if it is unknown.
        dropout: The rate of dropout on what the layer of labels takes, in training; None if it is unknown.
    """

    names: tuple[str, ...] | None = None
    problem: str | None = None
    dropout: float | None = None


@dataclass(frozen=True, kw_only=True)
class HeadWeight:
    """One weight of a head.

    Attributes:
        target: Its name beside the encoder.
        variable: The module's variable.
        axes: The axes of the variable and of the target, see surgery.tables.layout.
    """

    target: str
    variable: VariableInfo
    axes: str


@dataclass(frozen=True, kw_only=True)
class HiddenLayer:
    """A dense layer before that of labels: `activation(sequence_output[:, 0] · kernel + bias)`, float32 [batch, dense].

    Attributes:
        kernel: The kernel.
        transposed: True if the kernel is stored as [dense, hidden], False if as [hidden, dense].
        bias: The bias, float32 [dense].
        activation: The activation, by the name of an encoder's activations: "tanh", "relu" or "gelu".
    """

    kernel: VariableInfo
    transposed: bool
    bias: VariableInfo
    activation: str

    @property
    def size(self) -> int:
        """How many numbers it gives for a text."""
        return self.kernel.shape[0 if self.transposed else 1]


@dataclass(frozen=True, kw_only=True)
class DenseHead:
    """A dense layer that gives labels: `logits = input · kernel + bias`, float32 [batch, labels].

    Its input is the pooled output, or what a hidden layer makes of the first token of the sequence output.

    Attributes:
        kernel: The kernel.
        transposed: True if the kernel is stored as [labels, hidden], False if as [hidden, labels].
        bias: The bias, float32 [labels]; None where there is none.
        labels: The number of labels.
        outputs: The activation behind each output, by the output's name in the model: "linear" for the logits,
            "softmax", "sigmoid" or "log_softmax". If the model does not return its logits, they are there as "logits".
        hidden: The hidden layer; None where the input is the pooled output.
        inner: Those of these outputs that the model does not return.
        others: Outputs of the model's signatures that are none of these, such as the number of the best label.
        labelling: What is stated of the labels.
        open_graph: Opens the graph of the encoder with this head; None for a checkpoint, which has no graph.
    """

    kernel: VariableInfo
    transposed: bool
    bias: VariableInfo | None
    labels: int
    outputs: Mapping[str, str]
    hidden: HiddenLayer | None = None
    inner: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    labelling: Labelling = Labelling()
    open_graph: Callable[[], HeadGraph] | None = field(default=None, repr=False, compare=False)

    @property
    def reads(self) -> str:
        """The encoder's output from which it is computed."""
        return "pooled_output" if self.hidden is None else "sequence_output"

    @property
    def sizes(self) -> dict[str, int]:
        """Size by axis of its weights."""
        return {LABELS: self.labels, **({} if self.hidden is None else {DENSE: self.hidden.size})}

    @property
    def weights(self) -> tuple[HeadWeight, ...]:
        """Its kernels and its biases."""
        into = "hidden" if self.hidden is None else DENSE
        found = [HeadWeight(target=KERNEL, variable=self.kernel, axes=_axes(into, LABELS, self.transposed))]
        if self.bias is not None:
            found.append(HeadWeight(target=BIAS, variable=self.bias, axes=LABELS))
        if (layer := self.hidden) is not None:
            axes = _axes("hidden", DENSE, layer.transposed)
            found.append(HeadWeight(target=HIDDEN_KERNEL, variable=layer.kernel, axes=axes))
            found.append(HeadWeight(target=HIDDEN_BIAS, variable=layer.bias, axes=DENSE))
        return tuple(found)

    @property
    def logits(self) -> str:
        """The name of the output that is the logits."""
        return next(name for name, activation in self.outputs.items() if activation == LINEAR)


def _axes(into: str, out: str, transposed: bool) -> str:
    """The axes of a kernel, and of its target, which is [into, out]."""
    return f"{out} {into} -> {into} {out}" if transposed else f"{into} {out}"


@dataclass(frozen=True, kw_only=True)
class OtherHead:
    """A head that is no such layer.

    Attributes:
        outputs: The outputs that it gives.
        variables: Names of its variables.
        because: What it is instead, in words.
    """

    outputs: tuple[str, ...]
    variables: tuple[str, ...]
    because: str


Head = DenseHead | OtherHead


def head_words(data: Mapping[str, Any]) -> str:
    """What a head is that is no other one, in words, from its data."""
    if (hidden := data["hidden"]) is None:
        return f"a dense layer on the pooled output, {data['labels']} labels"
    return f"a dense layer with {hidden['activation']} on the first token ({hidden['size']}), {data['labels']} labels"


def head_data(head: Head | None) -> dict[str, Any] | None:
    """A head as JSON-ready data: the reports and the manifest show it so."""
    if head is None:
        return None
    if isinstance(head, OtherHead):
        return {
            "kind": "other",
            "outputs": list(head.outputs),
            "variables": list(head.variables),
            "because": head.because,
        }
    return {
        "kind": "dense",
        "on": head.reads,
        "labels": head.labels,
        "kernel": head.kernel.name,
        "stored": head.weights[0].axes.partition(" -> ")[0],
        "bias": None if head.bias is None else head.bias.name,
        "hidden": hidden_data(head.hidden),
        "outputs": dict(head.outputs),
        "others": list(head.others),
        **plain(head.labelling),
    }


def hidden_data(layer: HiddenLayer | None) -> dict[str, Any] | None:
    """A hidden layer as JSON-ready data."""
    if layer is None:
        return None
    return {
        "kernel": layer.kernel.name,
        "stored": "dense hidden" if layer.transposed else "hidden dense",
        "bias": layer.bias.name,
        "size": layer.size,
        "activation": layer.activation,
    }
