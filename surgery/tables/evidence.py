"""Evidence rows: where each hyperparameter is read, in a graph, in a config, or in a publisher's code."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from surgery.tables.readers import Reader


@dataclass(frozen=True, kw_only=True)
class GraphEvidence:
    """A row: an architecture field that a graph shows.

    Attributes:
        field: The architecture field.
        read: Function of a graph and the anchors that reads the value, see readers.
        anchors: Targets of the weights that anchor the spot. With `{layer}` every block is read, and all must agree.
        training: True for the training trace of the callable, False for the inference trace.
        callable: The callable whose graph shows it.
        optional: True where the field may have no evidence at all.
        absent: The value of a module without these weights, as its names then show; None where they decide nothing.
    """

    field: str
    read: Reader
    anchors: tuple[str, ...]
    training: bool = False
    callable: str = "__call__"
    optional: bool = False
    absent: Any = None


@dataclass(frozen=True, kw_only=True)
class ConfigEvidence:
    """A row: an architecture field that a key of the config gives.

    Attributes:
        field: The architecture field.
        key: The key of the config.
        anchors: Targets that a module must have for the row to apply.
        means: Values that a word of the config may stand for. The first counts unless other evidence has another one.
    """

    field: str
    key: str
    anchors: tuple[str, ...] = ()
    means: Mapping[str, tuple[Any, ...]] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class CodeEvidence:
    """A row: an architecture field that the publisher's code fixes for all its models.

    Attributes:
        field: The architecture field.
        value: Its value.
        place: The file of the publisher's code that fixes it.
        anchors: Targets that a module must have for the row to apply.
    """

    field: str
    value: Any
    place: str
    anchors: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Demand:
    """A row: a key of the config that, if present, must have one of a few values, because the encoder has no other.

    Attributes:
        key: The key of the config.
        allowed: The values that it may have.
        because: The reason, for the error message.
        anchors: Targets that a module must have for the row to apply.
    """

    key: str
    allowed: tuple[Any, ...]
    because: str
    anchors: tuple[str, ...] = ()
