"""The facts of a comparison as plain data: every variable with its pair, every line, and every node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from surgery.plain import plain
from surgery.proof.parity import MAX_DIFFERENCE
from surgery.reports.page import Data
from surgery.wording import Lines

if TYPE_CHECKING:
    from surgery.comparing.blocks import Part
    from surgery.comparing.difference import Difference
    from surgery.comparing.facts import Fact
    from surgery.comparing.numbers import Numbers
    from surgery.comparing.pairing import Stored
    from surgery.comparing.sides import Side
    from surgery.comparing.values import ValueDifference
    from surgery.comparing.weights import Weight
    from surgery.explanation.gathering import Evidence


def data(found: Difference, *, every: bool = False) -> Data:
    """All facts of a comparison. `every` says that the text shows every row of its tables."""
    return {
        "a": _module(found.a),
        "b": _module(found.b),
        "same": found.same,
        "compared": list(found.compared),
        "differing": list(found.differing),
        "absent": list(found.absent),
        "every": every,
        "weights": {
            "verdict": found.verdict,
            "parts": [{"title": _part_title(part), **plain(part)} for part in found.summary],
            "variables": [_weight(found, weight) for weight in found.weights],
        },
        "signatures": plain(found.signatures),
        "calls": plain(found.calls),
        "architecture": [
            {**_fact(fact), "evidence_a": _evidence(fact.evidence_a), "evidence_b": _evidence(fact.evidence_b)}
            for fact in found.architecture
        ],
        "constants": [_fact(fact) for fact in found.constants],
        "manifest": [_fact(fact) for fact in found.manifest],
        "operations": plain(found.operations),
        "assets": plain(found.assets),
        "numbers": None if found.numbers is None else _numbers_data(found.numbers),
    }


def _numbers_data(numbers: Numbers) -> Data:
    parts_at = numbers.parts_at
    return {"parts_at": None if parts_at is None else parts_at.name, "bound": MAX_DIFFERENCE, **plain(numbers)}


def _module(side: Side) -> Data:
    module = side.module
    return {
        "name": module.name,
        "format": module.format,
        "tensorflow_version": module.tensorflow_version or None,
        "sha256": dict(module.fingerprint),
        "unexplained": None if side.inspection.unexplained is None else Lines(side.inspection.unexplained),
    }


def _fact(fact: Fact) -> Data:
    return {"name": fact.name, "a": plain(fact.a), "b": plain(fact.b), "same": fact.same}


def _evidence(evidence: Sequence[Evidence]) -> list[Data]:
    return [{"source": e.kind, "place": e.place, "places": e.count} for e in evidence]


def _weight(found: Difference, weight: Weight) -> Data:
    pair = weight.pair
    return {
        "name": pair.name,
        "a": _stored(pair.a),
        "b": _stored(pair.b),
        "paired_by": pair.by or None,
        "part": pair.group,
        "block": pair.block,
        "state": weight.state,
        "same": weight.same,
        "other_layout": weight.relaid,
        "holds": weight.holds,
        "reason": weight.reason,
        "difference": _difference(weight.difference, found.words if pair.name == found.word_table else ((), ())),
    }


def _stored(stored: Stored | None) -> Data | None:
    if stored is None:
        return None
    variable = stored.variable
    return {"name": variable.name, "dtype": variable.dtype, "shape": list(variable.shape)}


def _difference(found: ValueDifference | None, words: tuple[Sequence[str], Sequence[str]]) -> Data | None:
    """The numbers of a difference, with the words of its rows where these are words."""
    if found is None:
        return None
    numbers: Data = {**plain(found), "relative": plain(found.relative)}
    for row in numbers["rows"]["farthest"] if found.rows is not None else ():
        named = [side[row["row"]] if row["row"] < len(side) else None for side in words]
        row["words"] = named if any(named) else None
    return numbers


def _part_title(part: Part) -> str:
    if part.first is None:
        return part.name
    if part.first == part.last:
        return f"block {part.first}"
    return f"blocks {part.first} {'and' if part.last == part.first + 1 else 'to'} {part.last}"
