"""Observations, and the findings that follow from all of them: values with evidence, and fields without evidence.

A reader returns observations: a value that it has seen, or the reason why it has seen none. Nothing is decided while
the readers work. `fold` compares all observations: the first observation of a field defines its value, and every later
one must agree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from surgery import limits
from surgery.arguments import argument
from surgery.errors import ContradictionError, UsageError
from surgery.tables.family import Family
from surgery.tables.fields import VALID, VALID_NAMES

OPTION = "option"
"""The kind of evidence of a value that the caller supplies."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """An observation: a field has a value.

    Attributes:
        field: The architecture field.
        value: Its value.
        kind: The kind of evidence: "graph", "names", "shapes", "config", "code" or "option".
        place: Where the value was read: a node, a variable, a key of a file, or an option.
    """

    field: str
    value: Any
    kind: str
    place: str


@dataclass(frozen=True, kw_only=True)
class Unseen:
    """An observation: a reader that should see a field's value sees none.

    Attributes:
        field: The architecture field.
        because: Why, in the words of an error message.
        unreadable: True if the graph must have the value and it cannot be read. A value seen elsewhere does not replace
            it, because blocks may differ; only a value from the caller does.
    """

    field: str
    because: str
    unreadable: bool = False


Observation = Seen | Unseen


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Why a field has its value.

    Attributes:
        field: The architecture field.
        value: Its value.
        kind: The kind of evidence, see Seen.
        place: The first place where the value was read.
        count: The number of places that agree on it.
    """

    field: str
    value: Any
    kind: str
    place: str
    count: int = 1


@dataclass(frozen=True, kw_only=True)
class Findings:
    """The values that follow from a set of observations, and the fields that have none.

    Attributes:
        values: Value by field.
        evidence: One entry per field and kind of evidence, in the order of the first observation.
        places: Every place where a value was seen.
        missing: The reason why a field has no value that can be trusted, by field.
    """

    values: Mapping[str, Any]
    evidence: tuple[Evidence, ...]
    places: frozenset[str]
    missing: Mapping[str, str]

    def place(self, field: str) -> str:
        """The first place where a field's value was seen."""
        return next((evidence.place for evidence in self.evidence if evidence.field == field), "nowhere")


def fold(name: str, observations: Iterable[Observation]) -> Findings:
    """Compares all observations of each field.

    Args:
        name: Name of the module, for messages.
        observations: The observations of all readers, in their order.

    Raises:
        ContradictionError: Two observations of one field have different values.
    """
    observations = tuple(observations)
    seen = [observation for observation in observations if isinstance(observation, Seen)]
    unseen = [observation for observation in observations if isinstance(observation, Unseen)]
    first: dict[str, Seen] = {}
    evidence: dict[tuple[str, str], Seen] = {}
    counts: Counter[tuple[str, str]] = Counter()
    for sight in seen:
        defining = first.setdefault(sight.field, sight)
        if defining.value != sight.value:
            raise ContradictionError(
                f"inferring the architecture of {name}: {sight.field} is {defining.value} "
                f"(read at {defining.place}), but {sight.value} at {sight.place}",
                hint=f"the module mixes two values of one hyperparameter, or an {argument('assume')} is wrong",
            )
        evidence.setdefault((sight.field, sight.kind), sight)
        counts[sight.field, sight.kind] += 1
    assumed = {sight.field for sight in seen if sight.kind == OPTION}
    unreadable = {lack.field: lack.because for lack in unseen if lack.unreadable}
    reasons = {lack.field: lack.because for lack in reversed(unseen)} | unreadable  # the first, or an unreadable place
    return Findings(
        values={field: sight.value for field, sight in first.items()},
        evidence=tuple(
            Evidence(field=sight.field, value=sight.value, kind=sight.kind, place=sight.place, count=counts[key])
            for key, sight in evidence.items()
        ),
        places=frozenset(sight.place for sight in seen),
        missing={
            field: reasons[field]
            for field in dict.fromkeys(lack.field for lack in unseen)
            if field not in first or field in unreadable.keys() - assumed
        },
    )


def check_number(family: Family, field: str, value: Any, doing: str) -> None:
    """Raises LimitError for a number that no shape may confirm before it is used: of blocks, or of anything else."""
    if isinstance(value, int):
        limits.check("blocks" if field in family.counts.values() else "config_number", value, doing)


def observe_assumptions(assume: Mapping[str, Any], family: Family) -> Iterator[Seen]:
    """The caller's values as observations. Raises UsageError for a field or a value that the family cannot have, and
    LimitError for too large a number."""
    for field, value in assume.items():
        option = argument("assume", {field: value})
        if field not in family.fields:
            raise UsageError(
                f"{option}: {family.name} has no field {field}", hint="known fields: " + ", ".join(family.fields)
            )
        values = family.fields[field].kind
        if not VALID[values](value):
            raise UsageError(f"{option}: expected {VALID_NAMES[values]} ({family.fields[field].meaning})")
        check_number(family, field, value, option)
        yield Seen(field=field, value=value, kind=OPTION, place=f"--assume {field}={value}")
