"""What the publisher of a checkpoint says of its function: a config file, and the code that reads it.

A checkpoint has no graph. Its hyperparameters are evidence all the same: the config names most of them, and what the
config does not name its publisher's code fixes. Each row says which; both are told with the place where they stand.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from typing import Any

from surgery.errors import UnexplainedError
from surgery.explanation.gathering import Gathered
from surgery.module import Config
from surgery.tables.evidence import CodeEvidence, ConfigEvidence
from surgery.tables.fields import VALID, VALID_NAMES
from surgery.tables.publisher import Publisher


def model_type(config: Config) -> str | None:
    """The architecture that a config names: its `model_type`, or in early files what its model class begins with."""
    named, classes = config.values.get("model_type"), config.values.get("architectures")
    if named is None and isinstance(classes, list) and classes:
        found = re.match(r"(\w+?)(?:Model|For[A-Z]|LMHead|PreTrain)", str(classes[0]))
        return found[1].lower() if found else str(classes[0])
    return None if named is None else str(named)


def read_publisher(
    publisher: Publisher, config: Config, targets: Container[str], gathered: Gathered, assume: Mapping[str, Any]
) -> None:
    """Adds what config and code say to the evidence; `assume` decides what a word means that may mean several things.

    Raises UnexplainedError for a demand that is not met, and for a value that no field can have.
    """
    for demand in publisher.demands:
        if demand.key in config.values and config.values[demand.key] not in demand.allowed:
            raise UnexplainedError(
                f"reading {config.file} of {gathered.module.name}: {demand.key} is {config.values[demand.key]!r}, "
                f"expected {' or '.join(repr(value) for value in demand.allowed)}: {demand.because}"
            )
    meant: dict[str, Any] = {}
    for row in publisher.evidence:
        if any(anchor not in targets for anchor in row.anchors):
            continue
        if isinstance(row, CodeEvidence):
            gathered.add(row.field, row.value, "code", row.place)
        elif row.key in config.values:
            value = _value(row, config, gathered, {**meant, **assume})
            meant.setdefault(row.key, value)
            gathered.add(row.field, value, "config", f"{config.file}: {row.key}")
        else:
            gathered.wanted.setdefault(row.field, f"{config.file} has no {row.key}")


def _value(row: ConfigEvidence, config: Config, gathered: Gathered, known: Mapping[str, Any]) -> Any:
    """A key's value as the field's; a word means the same wherever the config is read.

    `known` is what fields are assumed to be, and what keys have meant before.
    """
    value = config.values[row.key]
    doing = f"reading {config.file} of {gathered.module.name}: {row.key} is {value!r}"
    if row.means:
        if not isinstance(value, str) or value not in row.means:
            raise UnexplainedError(f"{doing}, which is not known; known are {', '.join(row.means)}")
        candidates = row.means[value]
        said = gathered.values.get(row.field, known.get(row.field, known.get(row.key)))
        return said if said in candidates else candidates[0]
    kind = gathered.family.fields[row.field].kind
    if not VALID[kind](value):
        raise UnexplainedError(f"{doing}, expected {VALID_NAMES[kind]} ({gathered.family.fields[row.field].meaning})")
    return float(value) if kind in ("rate", "epsilon") else value
