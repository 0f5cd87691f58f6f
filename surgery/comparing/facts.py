"""The architecture of two modules, field by field with the evidence, and their constants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from surgery.comparing.sides import Side
from surgery.explanation.gathering import Evidence
from surgery.explanation.tokenization import read_constants


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A hyperparameter, or a constant of the module, in both modules.

    Attributes:
        name: The field, such as "hidden_size"; "family" and "generation" stand before the fields.
        a: Its value in A; None where A has none.
        b: Its value in B; None where B has none.
        evidence_a: Where it was read in A.
        evidence_b: Where it was read in B.
    """

    name: str
    a: Any
    b: Any
    evidence_a: tuple[Evidence, ...] = ()
    evidence_b: tuple[Evidence, ...] = ()

    @property
    def same(self) -> bool:
        """Whether both modules have the same value."""
        return repr(self.a) == repr(self.b)  # 1 is not 1.0 here, and NaN is itself


def compare_architectures(a: Side, b: Side) -> tuple[Fact, ...]:
    """All fields of both architectures. A module that no table explains has none."""
    values = [_values(one) for one in (a, b)]
    return tuple(
        Fact(
            name=name,
            a=values[0].get(name),
            b=values[1].get(name),
            evidence_a=_evidence(a, name),
            evidence_b=_evidence(b, name),
        )
        for name in dict.fromkeys([*values[0], *values[1]])
    )


def compare_constants(a: Side, b: Side) -> tuple[Fact, ...]:
    """All constants of both modules, such as `do_lower_case`."""
    one, other = (
        {name: value.tolist() for name, value in sorted(read_constants(side.module).items())} for side in (a, b)
    )
    return tuple(Fact(name=name, a=one.get(name), b=other.get(name)) for name in dict.fromkeys([*one, *other]))


def _values(one: Side) -> dict[str, Any]:
    architecture = one.inspection.architecture
    if architecture is None:
        return {} if one.family is None else {"family": one.family.name}
    return {"family": architecture.family, "generation": architecture.generation, **architecture.values}


def _evidence(one: Side, field: str) -> tuple[Evidence, ...]:
    inference = one.inspection.inference
    return () if inference is None else tuple(e for e in inference.evidence if e.field == field)
