"""The variables that each row of a dialect claims. A dialect explains a module only if no variable is left over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product

from surgery.module import VariableInfo
from surgery.tables.rules import NUMBERED, Dialect, WeightRule, fill, holes_of


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A variable and the row that claims it.

    Attributes:
        variable: The variable.
        rule: The row.
        holes: Text of the row's holes, by hole.
    """

    variable: VariableInfo
    rule: WeightRule
    holes: Mapping[str, str]

    @property
    def targets(self) -> tuple[str, ...]:
        """Targets of the variable: none, one, or two that share it in the module."""
        return tuple(fill(target, self.holes) for target in (self.rule.target, self.rule.also) if target is not None)


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """The comparison of a module's variables with a dialect. It is complete only if nothing is left over.

    Attributes:
        dialect: The dialect.
        claims: Variables that exactly one row claims.
        unclaimed: Variables that no row claims.
        ambiguous: Variables that several rows claim, with these rows.
        idle: Rows that must claim a variable and claim none.
        missing: Names that a row's alternatives and numbers require, and that no variable has.
    """

    dialect: Dialect
    claims: tuple[Claim, ...]
    unclaimed: tuple[VariableInfo, ...]
    ambiguous: tuple[tuple[VariableInfo, tuple[WeightRule, ...]], ...] = ()
    idle: tuple[WeightRule, ...] = field(default=())
    missing: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether exactly one row claims each variable, and no row is idle and no name missing."""
        return bool(self.claims) and not (self.unclaimed or self.ambiguous or self.idle or self.missing)

    def complaints(self) -> tuple[str, ...]:
        """The reasons why the dialect does not explain the module, one line each."""
        lines = [f"no row claims {v.name} {list(v.shape)}" for v in self.unclaimed]
        lines += [f"{v.name} is claimed by {' and '.join(r.pattern for r in rows)}" for v, rows in self.ambiguous]
        lines += [f"nothing matches the row {rule.pattern}" for rule in self.idle]
        lines += [f"nothing matches {name}" for name in self.missing]
        return tuple(lines)


def explain(dialect: Dialect, variables: Iterable[VariableInfo], scope: str = "") -> Explanation:
    """Compares every variable with every row. Exactly one row must claim each variable, and no row may stay idle.

    The encoder's variables stand under `scope`, which is no part of the names in the rows. Of other variables, the rows
    only say why they are dropped.
    """
    claims, unclaimed, ambiguous = [], [], []
    used: Used = {}
    rules = [(rule, *rule.ends) for rule in dialect.rules]
    drops = [found for found in rules if found[0].target is None]
    for variable in variables:
        name = variable.name.removeprefix(scope)
        found = [
            (rule, holes)
            for rule, beginning, ending in (rules if variable.name.startswith(scope) else drops)
            if name.startswith(beginning) and name.endswith(ending) and (holes := rule.match(name)) is not None
        ]
        for rule, holes in found:
            used.setdefault(rule, []).append(holes)
        if len(found) == 1:
            ((rule, holes),) = found
            claims.append(Claim(variable=variable, rule=rule, holes=holes))
        elif found:
            ambiguous.append((variable, tuple(rule for rule, _ in found)))
        else:
            unclaimed.append(variable)
    claims, used = _ranked(claims, used)
    groups = {rule.optional for rule in used if rule.optional}
    idle = tuple(r for r in dialect.rules if r not in used and (r.optional is None or r.optional in groups))
    numbers = {hole: _numbers(hole, used) for hole in NUMBERED}
    missing = tuple(name for rule, seen in used.items() for name in _missing(rule, seen, numbers))
    return Explanation(
        dialect=dialect,
        claims=tuple(_with_last(claim, numbers) for claim in claims),
        unclaimed=tuple(unclaimed),
        ambiguous=tuple(ambiguous),
        idle=idle,
        missing=missing,
    )


Used = dict[WeightRule, list[dict[str, str]]]


def _ranked(claims: list[Claim], used: Used) -> tuple[list[Claim], Used]:
    """Replaces the suffixes that Keras gave to blocks, such as `_3` and `_12`, by their rank.

    Keras counts on within a process, so that the first block may have any suffix, or none.
    """
    suffixes = {holes["layer"] for seen in used.values() for holes in seen if "layer" in holes}
    if all(suffix.isdigit() for suffix in suffixes):
        return claims, used
    order = sorted(suffixes, key=lambda suffix: int(suffix.lstrip("_") or 0))
    rank = {suffix: str(i) for i, suffix in enumerate(order)}

    def ranked(holes: Mapping[str, str]) -> dict[str, str]:
        return {**holes, "layer": rank[holes["layer"]]} if "layer" in holes else dict(holes)

    return (
        [Claim(variable=claim.variable, rule=claim.rule, holes=ranked(claim.holes)) for claim in claims],
        {rule: [ranked(holes) for holes in seen] for rule, seen in used.items()},
    )


def _with_last(claim: Claim, numbers: Mapping[str, list[str]]) -> Claim:
    """The claim with the numbers of the holes that stand for the last of their kind."""
    last = {hole: str(len(numbers[hole])) for hole in claim.rule.last}
    return replace(claim, holes={**claim.holes, **last}) if last else claim


def _numbers(hole: str, used: Mapping[WeightRule, list[dict[str, str]]]) -> list[str]:
    return sorted({holes[hole] for seen in used.values() for holes in seen if hole in holes}, key=int)


def _missing(rule: WeightRule, seen: list[dict[str, str]], numbers: Mapping[str, list[str]]) -> Iterator[str]:
    """The names for which a row must find a variable and has found none."""
    wanted = list(_wanted(rule, numbers))
    holes = wanted[0].keys() if wanted else ()
    found = {tuple([texts[hole] for hole in holes]) for texts in seen}
    return (_filled(rule.pattern, texts) for texts in wanted if tuple(texts.values()) not in found)


def _wanted(rule: WeightRule, numbers: Mapping[str, list[str]]) -> Iterator[dict[str, str]]:
    """Every combination of holes for which a row must find a variable: its alternatives, for each number in use."""
    counted = [hole for hole, _ in holes_of(rule.pattern) if hole in numbers]
    alternatives = rule.alternatives
    for chosen in product(*(numbers[hole] for hole in counted)):
        for alternative in alternatives:
            yield {**dict(zip(counted, chosen, strict=True)), **alternative}


def _filled(pattern: str, chosen: Mapping[str, str]) -> str:
    for hole, regex in holes_of(pattern):
        written = "{" + (f"{hole}:{regex}" if regex else hole) + "}"
        pattern = pattern.replace(written, chosen.get(hole, "" if regex.startswith("(?:") else written))
    return pattern
