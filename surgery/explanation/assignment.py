"""The way of every variable: into the encoder under a layout, kept beside it, or dropped with a reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from surgery.errors import UnexplainedError
from surgery.explanation.architecture import Inference
from surgery.explanation.claims import Claim
from surgery.explanation.groups import group_of
from surgery.explanation.heads import DenseHead, OtherHead
from surgery.module import InspectedModule, VariableInfo, is_attribute
from surgery.results import Brief
from surgery.tables import layout
from surgery.tables.head import HEAD
from surgery.tables.layout import Layout


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """One variable's way into the encoder.

    Attributes:
        variable: The variable.
        target: Name of the weight in the encoder.
        layout: The axes before and after.
        shape: Shape of the target.
        rule: Pattern of the row that claims the variable.
        part: The part that owns the target: "encoder", the name of a sub-model, or "classifier" for a head.
        group: The part of the model: "embeddings", "blocks", "the shared block", "pooler", a submodel such as ".mlm",
            or "classifier" for a head.
        block: The number of the block, from 0; None for other groups.
    """

    variable: VariableInfo
    target: str
    layout: Layout
    shape: tuple[int, ...]
    rule: str
    part: str
    group: str
    block: int | None = None


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """A variable that is left behind.

    Attributes:
        variable: The variable.
        because: The reason.
    """

    variable: VariableInfo
    because: str


@dataclass(frozen=True, kw_only=True, repr=False)
class AssignmentMap(Brief):
    """Every variable of a module, exactly once.

    Attributes:
        assignments: Variables that go into the encoder.
        dropped: Variables that are left behind.
        kept: The module's constants, such as `do_lower_case`, which are copied into the export.
        sizes: Size by axis of the layouts.
    """

    assignments: tuple[Assignment, ...]
    dropped: tuple[Dropped, ...]
    kept: tuple[VariableInfo, ...]
    sizes: Mapping[str, int]

    @property
    def by_target(self) -> dict[str, Assignment]:
        """The assignments by target."""
        return {assignment.target: assignment for assignment in self.assignments}


def map_weights(module: InspectedModule, inference: Inference, head: DenseHead | None = None) -> AssignmentMap:
    """Turns the claims of the table into assignments, with those of a head that is kept.

    Raises:
        UnexplainedError: Two variables claim one target, or a weight is not float32.
    """
    assignments: list[Assignment] = []
    sizes = dict(inference.sizes)
    kept_weights = () if head is None else tuple(weight.variable for weight in head.weights)
    dropped = [
        Dropped(variable=v, because=v.outside)
        for v in module.variables
        if v.outside is not None and v not in kept_weights
    ]
    for claim in inference.claims:
        if claim.variable in kept_weights:
            continue
        reason = _reason_to_drop(claim, inference)
        if reason is not None:
            dropped.append(Dropped(variable=claim.variable, because=reason))
            continue
        _refuse_other_dtype(module, claim.variable)
        assert claim.rule.layout is not None
        shape = layout.shape_of(claim.rule.layout.right, inference.sizes)
        for target in claim.targets:
            group, block = group_of(inference.family, target, claim)
            assignments.append(
                Assignment(
                    variable=claim.variable,
                    target=target,
                    layout=claim.rule.layout,
                    shape=shape,
                    rule=claim.rule.pattern,
                    part=claim.rule.part,
                    group=group,
                    block=block,
                )
            )
    if head is not None:
        sizes |= head.sizes
        assignments += _of_head(module, head, sizes)
    _refuse_double_targets(module, assignments)
    kept = tuple(variable for variable in module.variables if variable.outside is None and is_attribute(variable))
    return AssignmentMap(assignments=tuple(assignments), dropped=tuple(dropped), kept=kept, sizes=sizes)


def _of_head(module: InspectedModule, head: DenseHead, sizes: Mapping[str, int]) -> Iterator[Assignment]:
    """The way of a head's weights."""
    for weight in head.weights:
        _refuse_other_dtype(module, weight.variable)
        found = layout.parse(weight.axes)
        yield Assignment(
            variable=weight.variable,
            target=weight.target,
            layout=found,
            shape=layout.shape_of(found.right, sizes),
            rule="a dense layer on the pooled output" if head.hidden is None else "a head with a hidden layer",
            part=HEAD,
            group=HEAD,
        )


def _refuse_other_dtype(module: InspectedModule, variable: VariableInfo) -> None:
    if variable.dtype != "float32":
        raise UnexplainedError(
            f"mapping {variable.name} of {module.name}: expected float32, found {variable.dtype}",
            hint="Model Garden's encoders compute in float32; convert the module's weights first",
        )


def _reason_to_drop(claim: Claim, inference: Inference) -> str | None:
    if claim.rule.part == HEAD:
        because = f": {inference.head.because}" if isinstance(inference.head, OtherHead) else ""
        return f"a classification head that is no part of the encoder{because}"
    if not claim.targets:
        return claim.rule.because or "the table drops it"
    if claim.rule.part != "encoder" and claim.rule.part not in inference.submodels:
        return f"the module has no callable .{claim.rule.part} that would use it"
    return None


def _refuse_double_targets(module: InspectedModule, assignments: list[Assignment]) -> None:
    claimed_by: dict[str, list[str]] = {}
    for assignment in assignments:
        claimed_by.setdefault(assignment.target, []).append(assignment.variable.name)
    double = [f"{target} is claimed by {' and '.join(names)}" for target, names in claimed_by.items() if len(names) > 1]
    if double:
        raise UnexplainedError(
            f"mapping the weights of {module.name} to the encoder",
            hint="the module holds a weight twice",
            details=tuple(double),
        )
