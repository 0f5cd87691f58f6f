"""Evidence rows: which hyperparameter is read where, in a graph, in a config, or in a publisher's code."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from surgery.tables.readers import Reader


@dataclass(frozen=True, kw_only=True)
class GraphEvidence:
    """A row: the architecture field, how to read it, and the targets that anchor it.

    `anchors` may contain `{layer}`: the place is then read in every block, and all must agree. `callable` is the
    function that shows it, `training` which of its traces. An `optional` field may have no evidence at all; `absent` is
    the value when the module has no such weights, which its names show.
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
    """A row: the architecture field that a key of the config tells, for modules that have all `anchors`.

    `means` translates a word into the values that it may stand for: the first, unless other evidence has another.
    """

    field: str
    key: str
    anchors: tuple[str, ...] = ()
    means: Mapping[str, tuple[Any, ...]] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class CodeEvidence:
    """A row: a field that the publisher's code fixes for all its models, and the place where it does."""

    field: str
    value: Any
    place: str
    anchors: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Demand:
    """A key of the config that, where it stands, must have one of these values: the encoder has no other."""

    key: str
    allowed: tuple[Any, ...]
    because: str
