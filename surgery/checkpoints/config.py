"""The config of a checkpoint: the rows by which a publisher's configs are read, read backwards.

A row that reads a key gives the key its value here, and a row for what the publisher's code fixes becomes a demand on
the module. A module that cannot be expressed is refused, with all reasons at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from surgery.arguments import argument
from surgery.checkpoints.kept import pooler_scope
from surgery.checkpoints.naming import Form
from surgery.errors import UnexplainedError, UsageError
from surgery.explanation.architecture import Inference
from surgery.explanation.config import meaning_of
from surgery.tables.evidence import CodeEvidence, ConfigEvidence
from surgery.tables.family import POOLED_L2_NORM_EPS, Family

RATE = "rate"
Row = ConfigEvidence | CodeEvidence


@dataclass(frozen=True, kw_only=True)
class WrittenConfig:
    """A config, and the hyperparameters that it stands for.

    Attributes:
        values: Value by key.
        architecture: Every hyperparameter of the written checkpoint, by field.
        changed: The module's value by field, for hyperparameters that the checkpoint has otherwise.
    """

    values: Mapping[str, Any]
    architecture: Mapping[str, Any]
    changed: Mapping[str, Any]


def write_config(name: str, inference: Inference, form: Form, *, merge_dropout: float | None = None) -> WrittenConfig:
    """The config of a module's checkpoint.

    Args:
        name: Name of the module, for messages.
        inference: The module's architecture.
        form: The class for which it is written.
        merge_dropout: The dropout rate that takes the place of several, where the config has one key for them.

    Raises:
        UnexplainedError: The publisher's code cannot compute what the module computes.
        UsageError: Dropout rates differ that the config has under one key, or `merge_dropout` is none of them.
    """
    family, doing = inference.family, f"writing {name} for Hugging Face"
    rows = [row for row in form.publisher.evidence if all(anchor in form.targets for anchor in row.anchors)]
    architecture = _read_back(inference, form, rows)
    module_has = dict(architecture)
    for field in family.encoder.writes:
        architecture.update({row.field: row.value for row in _code(rows) if row.field == field})
    architecture.update(_merged(doing, family, rows, architecture, merge_dropout))
    values: dict[str, Any] = {"architectures": [form.class_name], "model_type": form.model_type}
    refusals = list(_fixed_otherwise(family, rows, architecture))
    for row in rows:
        value = architecture.get(row.field)
        if isinstance(row, CodeEvidence) or value is None:
            continue
        written = _word(row, value)
        if written is None:
            refusals.append(f"{row.field} is {value}, for which {row.key} has no word")
        elif values.setdefault(row.key, written) != written:
            refusals.append(f"{row.field} is {value}, but {row.key} is {values[row.key]} for another layer")
    refusals += _unequal_heads(form, architecture)
    if refusals:
        raise UnexplainedError(
            f"{doing}: transformers' {form.class_name} cannot compute what it computes",
            hint=_without_pooler(family, rows, architecture),
            details=tuple(refusals),
        )
    changed = {field: value for field, value in module_has.items() if architecture[field] != value}
    return WrittenConfig(values=values, architecture=architecture, changed=changed)


def _read_back(inference: Inference, form: Form, rows: list[Row]) -> dict[str, Any]:
    """The module's hyperparameters, without those of layers that the checkpoint does not have."""
    described = {row.field for row in form.publisher.evidence}
    shown = {row.field for row in rows} | set(inference.family.sizes.values())
    values = inference.architecture.values
    # What is done with the pooler's output is no part of transformers' classes, see surgery.checkpoints.embedding.
    described.add(POOLED_L2_NORM_EPS)
    return {field: value for field, value in values.items() if field in shown or field not in described}


def _code(rows: list[Row]) -> Iterator[CodeEvidence]:
    yield from (row for row in rows if isinstance(row, CodeEvidence))


def _fixed_otherwise(family: Family, rows: list[Row], architecture: Mapping[str, Any]) -> Iterator[str]:
    for row in _code(rows):
        value = architecture.get(row.field, row.value)
        if value != row.value:
            meaning = family.fields[row.field].meaning
            yield f"{row.field} is {value} ({meaning}); {row.place} has {row.value} only"


def _without_pooler(family: Family, rows: list[Row], architecture: Mapping[str, Any]) -> str:
    """The way out if the pooler is what cannot be expressed; "" if it is not."""
    scope = pooler_scope(family)
    of_pooler = [row for row in _code(rows) if scope is not None and any(a.startswith(scope) for a in row.anchors)]
    if all(architecture.get(row.field, row.value) == row.value for row in of_pooler):
        return ""
    return f"leave out the pooler, and with it the pooled output: {argument('drop_pooler', True)}"


def _merged(
    doing: str, family: Family, rows: list[Row], architecture: Mapping[str, Any], merge_dropout: float | None
) -> dict[str, Any]:
    """The dropout rates that the checkpoint has instead of the module's; none where it can have the module's."""
    rates = [row for row in rows if row.field in architecture and family.fields[row.field].kind == RATE]
    keys = [row.key for row in rates if isinstance(row, ConfigEvidence)]
    shared = [row for row in rates if isinstance(row, ConfigEvidence) and keys.count(row.key) > 1]
    fixed = [row for row in _code(rows) if row in rates]
    merged: tuple[Row, ...] = (*shared, *fixed)
    found = {row.field: architecture[row.field] for row in merged}
    several = {architecture[row.field] for row in shared}
    if merge_dropout is None:
        if len(several) > 1 or any(architecture[row.field] != row.value for row in fixed):
            listed = ", ".join(f"{field} {value}" for field, value in found.items())
            raise UsageError(
                f"{doing}: its dropout rates differ, and the config has one key for them: {listed}",
                hint=f"name the rate that training shall have, such as "
                f"{argument('merge_dropout', max(found.values()))}; inference does not depend on it",
            )
        return {}
    if merge_dropout not in found.values():
        raise UsageError(
            f"{argument('merge_dropout', merge_dropout)}: expected one of the module's rates, "
            + " or ".join(map(str, sorted(set(found.values()))))
        )
    return {**{row.field: merge_dropout for row in shared}, **{row.field: row.value for row in fixed}}


def _word(row: ConfigEvidence, value: Any) -> Any:
    """The config's value for a field's value: the value itself, or the first word that means it; None without one."""
    return next((word for word in row.means if meaning_of(row, word) == value), None) if row.means else value


def _unequal_heads(form: Form, architecture: Mapping[str, Any]) -> Iterator[str]:
    heads, size = architecture["num_attention_heads"], architecture["attention_head_size"]
    divided = form.library.divided
    if heads * size != architecture[divided]:
        yield (
            f"{heads} heads of {size} values are not {divided}, {architecture[divided]}: transformers divides it by "
            "the number of heads, in every block"
        )
