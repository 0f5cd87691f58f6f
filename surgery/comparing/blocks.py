"""The weights summed up by the parts of the model: which are identical, which were trained further, which are new."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from surgery.comparing.values import ValueDifference
from surgery.comparing.weights import CHANGED, EQUAL, ONLY_A, ONLY_B, SHAPE, Weight

IDENTICAL, RELAID, OTHER_DTYPE = "identical", "identical in another layout", "identical numbers of another dtype"
FINE_TUNED, NEW, PARTLY, NONFINITE = "fine-tuned", "new", "changed", "changed to or from NaN or infinity"
RESHAPED, UNPAIRED = "other shapes", "other variables"
UNRELATED = 0.5
"""The cosine below which matrices are not taken for two versions of the same. Those of two trainings have about 0."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of the model, or several blocks in a row of which the same holds.

    Attributes:
        name: "embeddings", "blocks", "pooler", a submodel such as ".mlm", or the beginning of names.
        first: The first block; None for a part without numbers.
        last: The last block; None for a part without numbers.
        state: "identical", "identical in another layout", "identical numbers of another dtype", "fine-tuned" if at
            least half of the weights changed and their matrices are similar to what they were, "new" if all weights
            changed and their matrices are not similar, "other shapes", "changed", "only A", "only B", or "other
            variables" if each has only its own.
        weights: The number of weights.
        changed: How many are not identical.
        relative: RMS of the differences of the changed weights, relative to their RMS in A; None where it is unknown.
            This and the cosine are of finite numbers.
        cosine: Cosine of the changed matrices, taken together as one vector; None where there is none.
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
    numbered = run[0] >= 0
    return Part(
        name=name,
        first=run[0] if numbered else None,
        last=run[-1] if numbered else None,
        state=_state(weights),
        weights=len(weights),
        changed=len(changed),
        relative=_relative(changed),
        cosine=_cosine(changed),
    )


def _differences(weights: Iterable[Weight]) -> list[ValueDifference]:
    return [weight.difference for weight in weights if weight.difference is not None]


def _relative(weights: Iterable[Weight]) -> float | None:
    """RMS of the differences of several weights together, relative to the RMS of their values in A."""
    found = _differences(weights)
    own = sum(one.rms_a**2 * one.elements for one in found)
    return math.sqrt(sum(one.rms**2 * one.elements for one in found) / own) if own else None


def _cosine(weights: Iterable[Weight]) -> float | None:
    """Cosine of several weights together, of those that have two or more axes: a norm's gammas are alike anyway."""
    found = [one for one in _differences(weights) if one.rows is not None]
    product = sum((one.cosine or 0) * one.rms_a * one.rms_b * one.elements for one in found)
    squares = [sum(getattr(one, rms) ** 2 * one.elements for one in found) for rms in ("rms_a", "rms_b")]
    return product / math.sqrt(squares[0] * squares[1]) if all(squares) else None


def _state(weights: Sequence[Weight]) -> str:
    states = {weight.state for weight in weights}
    if len(states) == 1 and states & {ONLY_A, ONLY_B}:
        return states.pop()
    if states == {ONLY_A, ONLY_B}:
        return UNPAIRED
    if states == {SHAPE}:
        return RESHAPED
    if states == {EQUAL}:
        if any(weight.dtypes for weight in weights):
            return OTHER_DTYPE
        return RELAID if any(weight.relaid for weight in weights) else IDENTICAL
    changed = [weight for weight in weights if weight.state == CHANGED]
    if any(one.nonfinite for one in _differences(changed)):
        return NONFINITE
    cosine = _cosine(changed)
    if states <= {EQUAL, CHANGED} and cosine is not None:
        if cosine < UNRELATED and len(changed) == len(weights):
            return NEW
        if cosine >= UNRELATED and 2 * len(changed) >= len(weights) and _trained(changed):
            return FINE_TUNED
    return PARTLY


def _trained(changed: Sequence[Weight]) -> bool:
    """Whether most numbers of most changed weights moved, as training does, while a hand moves single ones.

    Of a table, training moves only the rows that were used: it counts by its rows, and every number of one moves.
    """
    found = _differences(changed)
    moved = sum(_rows_moved(one) if one.rows is not None else 2 * one.changed >= one.elements for one in found)
    return 2 * moved >= len(found) > 0


def _rows_moved(found: ValueDifference) -> bool:
    assert found.rows is not None, "the caller has checked it"
    return 2 * found.changed >= found.rows.count * (found.elements // found.rows.of)
