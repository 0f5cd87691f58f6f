"""The head of the model around an encoder: what makes its signatures' outputs of the encoder's.

A dense layer on the pooled output, with or without an activation, is what a classifier has. It is read as data: its
kernel, its bias, the number of its labels, and the activation behind each output. Any other head is only named.
A graph shows it (surgery.explanation.heads_in_graphs), or a checkpoint's config (surgery.explanation.heads_in_configs).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from surgery.graphs.flat import FlatGraph, Node, Tensor
from surgery.graphs.merging import Input
from surgery.module import VariableInfo
from surgery.plain import plain
from surgery.records import dataclass

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
        dropout: The rate of dropout on the pooled output in training; None if it is unknown.
    """

    names: tuple[str, ...] | None = None
    problem: str | None = None
    dropout: float | None = None


@dataclass(frozen=True, kw_only=True)
class DenseHead:
    """A dense layer on the pooled output: `logits = pooled_output · kernel + bias`, float32 [batch, labels].

    Attributes:
        kernel: The kernel.
        transposed: True if the kernel is stored as [labels, hidden], False if as [hidden, labels].
        bias: The bias, float32 [labels]; None where there is none.
        labels: The number of labels.
        outputs: The activation behind each output, by the output's name in the model: "linear" for the logits,
            "softmax", "sigmoid" or "log_softmax". If the model does not return its logits, they are there as "logits".
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
    inner: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    labelling: Labelling = Labelling()
    open_graph: Callable[[], HeadGraph] | None = field(default=None, repr=False, compare=False)

    @property
    def weights(self) -> tuple[VariableInfo, ...]:
        """Its kernel and its bias."""
        return (self.kernel,) if self.bias is None else (self.kernel, self.bias)

    @property
    def logits(self) -> str:
        """The name of the output that is the logits."""
        return next(name for name, activation in self.outputs.items() if activation == LINEAR)


@dataclass(frozen=True, kw_only=True)
class OtherHead:
    """A head that is no dense layer on the pooled output.

    Attributes:
        outputs: The outputs that it gives.
        variables: Names of its variables.
        because: What it is instead, in words.
    """

    outputs: tuple[str, ...]
    variables: tuple[str, ...]
    because: str


Head = DenseHead | OtherHead


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
        "on": "pooled_output",
        "labels": head.labels,
        "kernel": head.kernel.name,
        "stored": "labels hidden" if head.transposed else "hidden labels",
        "bias": None if head.bias is None else head.bias.name,
        "outputs": dict(head.outputs),
        "others": list(head.others),
        **plain(head.labelling),
    }
