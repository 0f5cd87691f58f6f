"""The weights that a checkpoint shall have: all of the plan, without a pooler or a head that is left out as asked."""

from __future__ import annotations

from dataclasses import dataclass

from surgery.arguments import argument
from surgery.errors import UsageError
from surgery.explanation.assignment import Assignment, Dropped
from surgery.explanation.heads import DenseHead
from surgery.planning.plan import Plan
from surgery.results import Brief
from surgery.tables.family import Family
from surgery.tables.head import HEAD

POOLED = "pooled_output"


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

    Raises UsageError where one shall be dropped that is not there, or a pooler from which the head is computed.
    """
    pooler = pooler_scope(plan.inference.family)
    assignments, dropped = plan.weights.assignments, list[Dropped]()
    for option, asked, scope, what in (
        ("drop_pooler", drop_pooler, pooler, "pooler"),
        ("drop_head", drop_head, f"{HEAD}/", "classification head"),
    ):
        found = tuple(a for a in assignments if asked and scope is not None and a.target.startswith(scope))
        if asked and not found:
            raise UsageError(f"{argument(option, True)}: {plan.module.name} has no {what} that can be left out")
        assignments = tuple(a for a in assignments if a not in found)
        dropped += [Dropped(variable=a.variable, because=f"the {what} is left out, as asked") for a in found]
    head = None if drop_head else plan.outputs.head
    if head is not None and drop_pooler:
        raise UsageError(
            f"{argument('drop_pooler', True)}: the classification head of {plan.module.name} is computed from the "
            "pooled output",
            hint=f"leave out the head, too: {argument('drop_head', True)}",
        )
    return Kept(assignments=assignments, head=head, dropped=tuple(dropped))


def pooler_scope(family: Family) -> str | None:
    """The scope of the pooler's weights in the encoder; None for a family that always has its pooled output."""
    layer = family.encoder.optional.get(POOLED)
    return None if layer is None else f"{layer.scope}/"
