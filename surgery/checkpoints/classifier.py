"""What a checkpoint's config says of its classification head: names and kind of the labels, and the rate of dropout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from surgery.arguments import argument
from surgery.errors import UsageError
from surgery.explanation.heads import DenseHead, Labelling
from surgery.explanation.heads_in_configs import default_names
from surgery.export.manifest import stated_labelling
from surgery.module import InspectedModule
from surgery.tables.head import HeadConfig


def labelling_of(
    module: InspectedModule, head: DenseHead | None, keys: HeadConfig, names: Sequence[str]
) -> Labelling | None:
    """What is known of a head's labels; None where no head is written.

    The caller's names come before those of the module. The kind of labels is stated, or the activation that the module
    applies to its logits shows it, unless it applies several that mean different kinds.

    Raises UsageError where the names are not one for each label.
    """
    if head is None:
        if names:
            raise UsageError(f"{argument('labels', list(names))}: no classification head is written")
        return None
    if names and (len(names) != head.labels or len(set(names)) != len(names)):
        raise UsageError(
            f"{argument('labels', list(names))}: the head of {module.name} has {head.labels} labels, expected a name "
            "of its own for each"
        )
    stated = stated_labelling(module, head)
    problem = stated.problem if stated.problem in keys.kinds else None
    shown = {keys.kind_of[activation] for activation in head.outputs.values() if activation in keys.kind_of}
    problem = problem or (shown.pop() if len(shown) == 1 else None)
    if problem in keys.several and head.labels == 1:
        problem = None
    given = tuple(names) or stated.names
    return replace(stated, names=None if given == default_names(keys, head.labels) else given, problem=problem)


def head_values(head: DenseHead, labelling: Labelling, keys: HeadConfig) -> Mapping[str, Any]:
    """The values of the config's keys. What is not known has no key: the library's own value then counts."""
    names = labelling.names or default_names(keys, head.labels)
    known = {keys.problem: labelling.problem, keys.dropout: labelling.dropout}
    return {
        keys.names: {str(number): name for number, name in enumerate(names)},
        keys.numbers: {name: number for number, name in enumerate(names)},
        **{key: value for key, value in known.items() if value is not None},
    }
