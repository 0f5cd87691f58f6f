"""The weights that a checkpoint shall have: all of the plan, without a pooler or a head that is left out as asked."""

from __future__ import annotations

from dataclasses import dataclass

from surgery.arguments import argument
from surgery.errors import UsageError
from surgery.explanation.assignment import Assignment, Dropped
from surgery.explanation.heads import DenseHead, OtherHead
from surgery.planning.plan import Plan
from surgery.results import Brief
from surgery.tables.family import POOLED, Family
from surgery.tables.head import HEAD


@dataclass(frozen=True, kw_only=True, repr=False)
class Kept(Brief):
    """The weights that a checkpoint shall have.

    Attributes:
        assignments: The weights.
        head: Its classification head; None where it has none.
        dropped: Variables of the pooler and of the head that it shall not have.
    """

    assignments: tuple[Assignment, ...]
    head: DenseHead | None = None
    dropped: tuple[Dropped, ...] = ()


def kept_weights(plan: Plan, *, drop_pooler: bool, drop_head: bool) -> Kept:
    """The weights of a plan, without a pooler or a head that the checkpoint shall not have.

    Raises UsageError where one shall be dropped that is not there, or a pooler from which the head is computed, and
    for a head that is only named, unless it is left out.
    """
    name, pooler = plan.module.name, pooler_scope(plan.inference.family)
    if drop_head and plan.head is None:
        raise UsageError(f"{argument('drop_head', True)}: {name} has no classification head that can be left out")
    if drop_pooler and not any(_is_in(a, pooler) for a in plan.weights.assignments):
        raise UsageError(f"{argument('drop_pooler', True)}: {name} has no pooler that can be left out")
    if isinstance(plan.head, OtherHead) and not drop_head:
        raise UsageError(
            f"writing {name} for Hugging Face: its head ({', '.join(plan.head.variables)}) is none that "
            f"can be kept: {plan.head.because}",
            hint=f"leave out the head: {argument('drop_head', True)}",
        )
    head = plan.outputs.head
    if drop_pooler and head is not None and head.hidden is None and not drop_head:
        raise UsageError(
            f"{argument('drop_pooler', True)}: the classification head of {name} is computed from the pooled output",
            hint=f"leave out the head, too: {argument('drop_head', True)}",
        )
    left_out = {"pooler": pooler if drop_pooler else None, "classification head": f"{HEAD}/" if drop_head else None}
    dropped = {
        a: Dropped(variable=a.variable, because=f"the {what} is left out, as asked")
        for a in plan.weights.assignments
        for what, scope in left_out.items()
        if _is_in(a, scope)
    }
    return Kept(
        assignments=tuple(a for a in plan.weights.assignments if a not in dropped),
        head=None if drop_head else head,
        dropped=tuple(dropped.values()),
    )


def _is_in(assignment: Assignment, scope: str | None) -> bool:
    return scope is not None and assignment.target.startswith(scope)


def pooler_scope(family: Family) -> str | None:
    """The scope of the pooler's weights in the encoder; None for a family that always has its pooled output."""
    layer = family.encoder.optional.get(POOLED)
    return None if layer is None else f"{layer.scope}/"
