"""A classification head on an encoder: its weights' names, and how a publisher's config describes it. Pure data."""

from __future__ import annotations

from collections.abc import Mapping

from surgery.records import dataclass

HEAD = "classifier"
"""The signature of a head that is kept, the scope of its weights, and the part that owns them."""
KERNEL, BIAS = f"{HEAD}/kernel", f"{HEAD}/bias"
LABELS = "labels"
"""The axis of its weights that counts labels."""


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
        dropout: Key of the rate of dropout on the pooled output.
        others: What the head of another class computes, by the end of the class's name.
        instead: What the class for whole texts has instead of a dense layer on the pooled output; "" where it has one.
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
    instead: str = ""
