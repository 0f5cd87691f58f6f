"""The size of every axis, bound from the shapes of all claimed weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from surgery.errors import ContradictionError, UnexplainedError
from surgery.explanation.claims import Claim
from surgery.explanation.gathering import Findings, Observation, Seen, Unseen
from surgery.tables import layout
from surgery.tables.family import Family


@dataclass(frozen=True, kw_only=True)
class Bound:
    """Sizes, and what was observed while they were bound.

    Attributes:
        sizes: Size by axis.
        observations: Fields whose value the shapes define, and fields that they leave open.
    """

    sizes: Mapping[str, int]
    observations: tuple[Observation, ...]


def most_tokens(values: Mapping[str, Any]) -> int:
    """The most tokens of a row, for an encoder with these hyperparameters.

    Where positions are counted from an id of padding, as RoBERTa does, the rows of the table up to that one stand for
    no token.
    """
    positions: int = values["max_position_embeddings"]
    return positions - (values["pad_token_id"] + 1 if "pad_token_id" in values else 0)


def bind_sizes(name: str, family: Family, claims: tuple[Claim, ...], findings: Findings) -> Bound:
    """Binds every axis of every claimed weight.

    Args:
        name: Name of the module, for messages.
        family: Its family, whose `sizes` map axes to fields.
        claims: Its weights and the rows that claim them.
        findings: The values of the fields that are known before.

    Raises:
        ContradictionError: A shape disagrees with another shape, or with a field's value.
        UnexplainedError: Two axes must be equal and are not.
    """
    sizes = {axis: findings.values[field] for axis, field in family.sizes.items() if field in findings.values}
    places = {field: findings.place(field) for field in findings.values}
    seen: list[Seen] = []
    for claim in (*claims, *claims):  # twice: joined axes need sizes that a later row may define
        if claim.rule.layout is None:
            continue
        try:
            bound = layout.bind(claim.rule.layout, claim.variable.shape, sizes)
        except ValueError as error:
            fields = [family.sizes[axis] for axis in claim.rule.layout.axes if axis in family.sizes]
            known = sorted({f"{field} was read at {places[field]}" for field in fields if field in places})
            raise ContradictionError(
                f"binding the shape of {claim.variable.name} {list(claim.variable.shape)}: {error}; "
                + ", ".join(known),
                hint="the variable is damaged, or belongs to another architecture",
            ) from error
        for axis, size in bound.items():
            if axis not in sizes and axis in family.sizes:  # no field counts the labels of a head
                field, place = family.sizes[axis], claim.variable.name
                seen.append(Seen(field=field, value=size, kind="shapes", place=place))
                places[field] = place
        sizes = bound
    _refuse_unequal(name, family, claims, sizes)
    return Bound(sizes=sizes, observations=(*seen, *_open(family, claims, sizes)))


def _refuse_unequal(name: str, family: Family, claims: tuple[Claim, ...], sizes: Mapping[str, int]) -> None:
    targets = {target for claim in claims for target in claim.targets}
    for left, right, unless in family.equal_unless:
        if left in sizes and unless not in targets and sizes[left] != sizes[right]:
            raise UnexplainedError(
                f"inferring the architecture of {name}: {family.sizes[left]} is {sizes[left]} and "
                f"{family.sizes[right]} is {sizes[right]}, expected equal sizes"
                + (f" without {unless}" if unless else "")
            )


def _open(family: Family, claims: tuple[Claim, ...], sizes: Mapping[str, int]) -> Iterator[Unseen]:
    """Fields whose axis some weight has, but no shape defines."""
    axes = {axis for claim in claims if claim.rule.layout is not None for axis in claim.rule.layout.axes}
    for axis, field in family.sizes.items():
        if axis in axes and axis not in sizes:
            yield Unseen(field=field, because="the shapes leave it open")
