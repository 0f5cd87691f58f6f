"""The weights summed up by the parts of the model: which are identical, which were trained further, which are new."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from surgery.comparing.values import ValueDifference
from surgery.comparing.weights import CHANGED, EQUAL, ONLY_A, ONLY_B, SHAPE, Weight

IDENTICAL, RELAID, OTHER_DTYPE = "identical", "identical in another layout", "identical numbers of another dtype"
FINE_TUNED, NEW, PARTLY, RESHAPED = "fine-tuned", "new", "changed", "other shapes"
BLOCKS = "blocks"


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of the model, or several blocks in a row of which the same holds.

    Attributes:
        name: "embeddings", "blocks", "pooler", a submodel such as ".mlm", or the beginning of names.
        first: The first block; None for a part without numbers.
        last: The last block; None for a part without numbers.
        state: "identical", "identical in another layout", "identical numbers of another dtype", "fine-tuned" if at
            least half of the weights changed, a matrix among them, and each changed matrix is similar to what it was,
            "new" if all weights changed and no matrix is similar, "other shapes", "changed", "only A" or "only B".
        weights: The number of weights.
        changed: How many are not identical.
        relative: RMS of the differences of the changed weights, relative to their RMS in A; None where it is unknown.
        cosine: The lowest cosine of a changed matrix; None where there is none.
    """

    name: str
    first: int | None
    last: int | None
    state: str
    weights: int
    changed: int
    relative: float | None
    cosine: float | None


def parts_of(weights: Iterable[Weight]) -> tuple[Part, ...]:
    """The parts of a model in the order of its weights. Neighbouring blocks of one state are one part."""
    groups: dict[tuple[str, int], list[Weight]] = {}
    for weight in weights:
        block = -1 if weight.pair.block is None else weight.pair.block
        groups.setdefault((weight.pair.group, block), []).append(weight)
    named: dict[str, list[int]] = {}
    for name, block in groups:
        named.setdefault(name, []).append(block)
    found: list[Part] = []
    for name, numbers in named.items():
        run: list[int] = []
        for block in sorted(numbers):
            state = _state(groups[name, block])
            if run and (block != run[-1] + 1 or state != _state(groups[name, run[-1]])):
                found.append(_part(name, run, groups))
                run = []
            run.append(block)
        found.append(_part(name, run, groups))
    return tuple(found)


def _part(name: str, run: Sequence[int], groups: dict[tuple[str, int], list[Weight]]) -> Part:
    weights = [weight for block in run for weight in groups[name, block]]
    changed = [weight for weight in weights if not weight.same]
    cosines = [w.difference.cosine for w in changed if w.difference is not None and w.difference.rows is not None]
    known = [cosine for cosine in cosines if cosine is not None]
    numbered = run[0] >= 0
    return Part(
        name=name,
        first=run[0] if numbered else None,
        last=run[-1] if numbered else None,
        state=_state(weights),
        weights=len(weights),
        changed=len(changed),
        relative=_relative(changed),
        cosine=min(known) if known else None,
    )


def _relative(weights: Iterable[Weight]) -> float | None:
    """RMS of the differences of several weights together, relative to the RMS of their values in A."""
    gap, own = 0.0, 0.0
    for found in (weight.difference for weight in weights):
        if found is not None and found.relative:
            gap += found.rms**2 * found.elements
            own += (found.rms / found.relative) ** 2 * found.elements
    return math.sqrt(gap / own) if own else None


def _state(weights: Sequence[Weight]) -> str:
    states = {weight.state for weight in weights}
    if len(states) == 1 and states & {ONLY_A, ONLY_B}:
        return states.pop()
    if states == {SHAPE}:
        return RESHAPED
    if states == {EQUAL}:
        if any(weight.dtypes for weight in weights):
            return OTHER_DTYPE
        return RELAID if any(weight.relaid for weight in weights) else IDENTICAL
    changed = [weight for weight in weights if weight.state == CHANGED]
    matrices = [weight for weight in changed if weight.difference is not None and weight.difference.rows is not None]
    if states <= {EQUAL, CHANGED}:
        if matrices and all(weight.unrelated for weight in matrices) and len(changed) == len(weights):
            return NEW
        similar = matrices and not any(weight.unrelated for weight in matrices)
        if similar and 2 * len(changed) >= len(weights) and _trained(changed):
            return FINE_TUNED
    return PARTLY


def _trained(changed: Sequence[Weight]) -> bool:
    """Whether most numbers of most changed weights moved, as training does, while a hand moves single ones.

    Of a table, training moves only the rows that were used: it counts by its rows, and every number of one moves.
    """
    found = [weight.difference for weight in changed if weight.difference is not None]
    moved = sum(_rows_moved(one) if one.rows is not None else 2 * one.changed >= one.elements for one in found)
    return 2 * moved >= len(found) > 0


def _rows_moved(found: ValueDifference) -> bool:
    assert found.rows is not None, "the caller has checked it"
    return 2 * found.changed >= found.rows.count * (found.elements // found.rows.of)
