"""Where every variable of a module goes: into the encoder under a layout, kept beside it, or dropped with a reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from surgery import layout
from surgery.architecture import Inference, is_attribute
from surgery.errors import UnexplainedError
from surgery.layout import Layout
from surgery.module import InspectedModule, VariableInfo
from surgery.rules import Claim


@dataclass(frozen=True)
class Assignment:
    """One variable's way into the encoder. `shape` is the target's; `part` the sub-model that owns it."""

    variable: VariableInfo
    target: str
    layout: Layout
    shape: tuple[int, ...]
    rule: str
    part: str


@dataclass(frozen=True)
class Dropped:
    """A variable that is left behind, and why."""

    variable: VariableInfo
    because: str


@dataclass(frozen=True)
class AssignmentMap:
    """Every variable of a module, exactly once. `kept` are its constants, such as `do_lower_case`, by attribute."""

    assignments: tuple[Assignment, ...]
    dropped: tuple[Dropped, ...]
    kept: tuple[VariableInfo, ...]
    sizes: Mapping[str, int]

    @property
    def by_target(self) -> dict[str, Assignment]:
        return {assignment.target: assignment for assignment in self.assignments}


def map_weights(module: InspectedModule, inference: Inference) -> AssignmentMap:
    """Turns the claims of the table into assignments.

    Raises UnexplainedError when two variables claim one target, or a block lacks a weight that another block has.
    """
    assignments: list[Assignment] = []
    dropped: list[Dropped] = []
    for claim in inference.claims:
        reason = _reason_to_drop(claim, inference)
        if reason is not None:
            dropped.append(Dropped(claim.variable, reason))
            continue
        if claim.variable.dtype != "float32":
            raise UnexplainedError(
                f"mapping {claim.variable.name} of {module.name}: expected float32, found {claim.variable.dtype}",
                hint="Model Garden's encoders compute in float32; convert the module's weights first",
            )
        assert claim.target is not None
        assert claim.rule.layout is not None
        shape = layout.shape_of(claim.rule.layout.target, inference.sizes)
        assignments.append(
            Assignment(claim.variable, claim.target, claim.rule.layout, shape, claim.rule.source, claim.rule.part)
        )
    _check_targets(module, inference, assignments)
    kept = tuple(variable for variable in module.variables if is_attribute(variable))
    return AssignmentMap(tuple(assignments), tuple(dropped), kept, inference.sizes)


def _reason_to_drop(claim: Claim, inference: Inference) -> str | None:
    if claim.target is None:
        return claim.rule.because or "the table drops it"
    if claim.rule.part != "encoder" and claim.rule.part not in inference.heads:
        return f"the module has no callable .{claim.rule.part} that would use it"
    return None


def _check_targets(module: InspectedModule, inference: Inference, assignments: list[Assignment]) -> None:
    counts = Counter(assignment.target for assignment in assignments)
    problems = [
        f"{target} is claimed by {' and '.join(a.variable.name for a in assignments if a.target == target)}"
        for target, count in counts.items()
        if count > 1
    ]
    blocks = inference.architecture["num_hidden_layers"]
    stems = {claim.rule.target for claim in inference.claims if claim.rule.target and "{layer}" in claim.rule.target}
    rows = Counter(
        (claim.rule.source, *_other_holes(claim)) for claim in inference.claims if claim.rule.target in stems
    )
    for (source, *holes), count in rows.items():
        if count != blocks:
            found = {
                int(c.holes["layer"]) for c in inference.claims if (c.rule.source, *_other_holes(c)) == (source, *holes)
            }
            missing = sorted(set(range(blocks)) - found)
            named = source
            for hole in holes:
                named = named.replace("{" + hole.partition("=")[0], "{" + hole, 1)
            problems.append(f"expected {named} in all {blocks} blocks, missing in block {', '.join(map(str, missing))}")
    if problems:
        raise UnexplainedError(
            f"mapping the weights of {module.name} to the encoder",
            hint="a weight is missing or doubled: fetch the module again",
            details=tuple(problems),
        )


def _other_holes(claim: Claim) -> tuple[str, ...]:
    return tuple(f"{name}={text}" for name, text in sorted(claim.holes.items()) if name != "layer" and text)
