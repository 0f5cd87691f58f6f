"""A classification head on an encoder: its weights' names, and how a publisher's config describes it. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

HEAD = "classifier"
"""The signature of a head that is kept, the scope of its weights, and the part that owns them."""
KERNEL, BIAS = f"{HEAD}/kernel", f"{HEAD}/bias"
HIDDEN = f"{HEAD}/dense"
"""The scope of the weights of a hidden layer before the layer of labels, where a head has one."""
HIDDEN_KERNEL, HIDDEN_BIAS = f"{HIDDEN}/kernel", f"{HIDDEN}/bias"
LABELS = "labels"
"""The axis of its weights that counts labels."""
DENSE = "dense"
"""The axis of its weights that counts what its hidden layer gives."""


@dataclass(frozen=True, kw_only=True)
class HeadConfig:
    """The keys of a publisher's config for a head, and its classes that keep another head under the same names.

    Attributes:
        names: Key of the labels' names by number.
        numbers: Key of the labels' numbers by name.
        default_name: The name of a label that has none, with `{}` for its number.
        problem: Key of the kind of problem that the head is trained for.
        kinds: The kinds of problems.
        kind_of: The kind by the activation that makes probabilities of the logits.
        several: Those of the kinds that need more than one label.
        dropout: Key of the rate of dropout on what the layer of labels takes.
        others: What the head of another class computes, by the end of the class's name.
        hidden_act: The activation of the hidden layer that the class for whole texts has on the first token of the
            sequence output; "" where its layer of labels reads the pooled output.
    """

    names: str
    numbers: str
    default_name: str
    problem: str
    kinds: tuple[str, ...]
    kind_of: Mapping[str, str]
    several: tuple[str, ...]
    dropout: str
    others: Mapping[str, str]
    hidden_act: str = ""
