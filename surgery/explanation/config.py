"""Observations in a checkpoint's config, and in its publisher's code.

A checkpoint has no graph. Its config (Google's `bert_config.json`, Hugging Face's `config.json`) names most of its
hyperparameters, and the publisher's code fixes the others. The keys, and the values that the code fixes, are rows in
`surgery.families.publishers`. Both are evidence, with the place where the value was read.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import replace
from typing import Any

from surgery.errors import UnexplainedError
from surgery.explanation.gathering import Observation, Seen, Unseen, check_number
from surgery.module import Config
from surgery.tables.evidence import CodeEvidence, ConfigEvidence
from surgery.tables.family import Family
from surgery.tables.fields import VALID, VALID_NAMES
from surgery.tables.publisher import Publisher


def model_type(config: Config) -> str | None:
    """The architecture that a config names: its `model_type`, or in early files the beginning of its model class."""
    named, classes = config.values.get("model_type"), config.values.get("architectures")
    if named is None and isinstance(classes, list) and classes:
        found = re.match(r"(\w+?)(?:Model|For[A-Z]|LMHead|PreTrain)", str(classes[0]))
        return found[1].lower() if found else str(classes[0])
    return None if named is None else str(named)


def observe_config(
    config: Config,
    publisher: Publisher,
    family: Family,
    name: str,
    *,
    targets: Container[str],
    shown: Mapping[str, Any],
    assume: Mapping[str, Any],
) -> tuple[Observation, ...]:
    """The observations in the config and in the publisher's code.

    A word of the config may stand for several values. It then means the value that the graph beside the checkpoint
    shows, or the value that the caller assumes; without either it means the first.

    Args:
        config: The checkpoint's configuration file.
        publisher: The rows of the checkpoint's publisher.
        family: The checkpoint's family.
        name: Name of the module, for messages.
        targets: Targets of the checkpoint's weights; rows anchored at other targets do not apply.
        shown: Values that the graph beside the checkpoint shows, by field.
        assume: Values that the caller assumes, by field.

    Raises:
        UnexplainedError: A demand is not met, or the config has a value that no field can have.
    """
    doing = f"reading {config.file} of {name}"
    for demand in publisher.demands:
        if any(anchor not in targets for anchor in demand.anchors) or demand.key not in config.values:
            continue
        if config.values[demand.key] not in demand.allowed:
            raise UnexplainedError(
                f"{doing}: {demand.key} is {config.values[demand.key]!r}, "
                f"expected {' or '.join(repr(value) for value in demand.allowed)}: {demand.because}"
            )
    observations: list[Observation] = []
    meanings: dict[str, Any] = {}
    for row in publisher.evidence:
        if any(anchor not in targets for anchor in row.anchors):
            continue
        if isinstance(row, CodeEvidence):
            observations.append(Seen(field=row.field, value=row.value, kind="code", place=row.place))
        elif row.key in config.values:
            # A word means the same wherever the config is read.
            likely = shown.get(row.field, assume.get(row.field, meanings.get(row.key)))
            value = _value(row, config.values[row.key], family, likely, f"{doing}: {row.key}")
            meanings.setdefault(row.key, value)
            observations.append(Seen(field=row.field, value=value, kind="config", place=f"{config.file}: {row.key}"))
        else:
            observations.append(Unseen(field=row.field, because=f"{config.file} has no {row.key}"))
    return tuple(observations)


def observe_training(
    config: Config | None,
    publisher: Publisher,
    family: Family,
    name: str,
    *,
    targets: Container[str],
    shown: Mapping[str, Any],
) -> Iterator[Observation]:
    """The observations that stand in for a training trace, which a graph for serving lacks.

    The publisher's code fixes some rates of dropout, and the config of the training run gives the others, if it was
    laid beside the graph. What else the config says must agree with the graph. For the arguments see `observe_config`.
    """
    training = {row.field for row in family.evidence if row.training}
    rows = [row for row in publisher.evidence if isinstance(row, ConfigEvidence) or row.field in training]
    if config is not None:
        described = replace(publisher, evidence=tuple(rows))
        yield from observe_config(config, described, family, name, targets=targets, shown=shown, assume={})
        return
    for row in rows:
        if isinstance(row, CodeEvidence):
            yield Seen(field=row.field, value=row.value, kind="code", place=row.place)
        elif row.field in training:
            because = "a graph for serving has no dropout, and no bert_config.json lies beside saved_model.pb"
            yield Unseen(field=row.field, because=because)


def meaning_of(row: ConfigEvidence, word: str) -> Any:
    """The value that a word of the config stands for where nothing else tells."""
    return row.means[word][0]


def _value(row: ConfigEvidence, value: Any, family: Family, likely: Any, doing: str) -> Any:
    """The field's value for a key's value. A word may stand for several values: `likely` is taken if it is one of them,
    else the first."""
    if row.means:
        if not isinstance(value, str) or value not in row.means:
            raise UnexplainedError(f"{doing} is {value!r}, which is not known; known are {', '.join(row.means)}")
        candidates = row.means[value]
        return likely if likely in candidates else meaning_of(row, value)
    field = family.fields[row.field]
    if not VALID[field.kind](value):
        raise UnexplainedError(f"{doing} is {value!r}, expected {VALID_NAMES[field.kind]} ({field.meaning})")
    check_number(family, row.field, value, doing)
    return float(value) if field.kind in ("rate", "epsilon") else value
