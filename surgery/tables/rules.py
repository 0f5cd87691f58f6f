"""The weight table's grammar: one row claims variables by their whole name and says where they go.

A pattern is a name with holes: `{layer}` and `{ffn}` match digits, `{name}` anything but a slash, `{name:regex}` what
the regex says; a `layer` that is no number is ranked. A hole's text is carried into the target,
`transformer/layer_{layer}/…`. Names match whole, never in part, so the order of rows means nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING

from surgery.module import VariableInfo
from surgery.tables.layout import Layout, parse

if TYPE_CHECKING:
    from surgery.explanation.config import Published

NUMBERED = ("layer", "ffn")
"""Holes that count: blocks, and feed-forward networks within a block."""


@dataclass(frozen=True)
class WeightRule:
    """One row: a source name pattern and either a target with a layout, or the reason why it is dropped.

    `part` is the sub-model that carries the target ("encoder", or "mlm" for the masked-LM head). `optional` names a
    group of rows of which all claim something, or none; a row without a group must claim something. Where a hole
    lists alternatives, `{leaf:gamma|beta}`, each of them must be there. `also` is a second target, of a weight that the
    source uses in two places and the encoder has twice.
    """

    source: str
    target: str | None
    layout: Layout | None
    part: str = "encoder"
    because: str | None = None
    optional: str | None = None
    also: str | None = None

    @property
    def alternatives(self) -> tuple[dict[str, str], ...]:
        """Every combination of the holes that list plain alternatives."""
        listed = {hole: regex.split("|") for hole, regex in _holes(self.source) if re.fullmatch(r"\w+(\|\w+)+", regex)}
        return tuple(dict(zip(listed, texts, strict=True)) for texts in product(*listed.values()))

    def match(self, name: str) -> dict[str, str] | None:
        """The text of each hole when the whole name matches, else None."""
        found = _compile(self.source).fullmatch(name)
        return found.groupdict() if found else None


def move(
    source: str,
    target: str,
    layout: str,
    *,
    part: str = "encoder",
    optional: str | None = None,
    also: str | None = None,
) -> WeightRule:
    """A row that carries a variable to a target: `move("a/{layer}/kernel", "b_{layer}/kernel", "in out -> out in")`."""
    return WeightRule(source, target, parse(layout), part=part, optional=optional, also=also)


def drop(source: str, *, because: str) -> WeightRule:
    """A row that leaves a variable behind, knowingly. Always optional, a group of its own."""
    return WeightRule(source, None, None, because=because, optional=f"drop {source}")


@dataclass(frozen=True)
class Dialect:
    """One generation's names for a family: `generation` per calling convention ("list" or "dict" in).

    `published` says how its checkpoints are to be read, where it has any.
    """

    generation: Mapping[str, str]
    rules: tuple[WeightRule, ...]
    published: Published | None = None


@dataclass(frozen=True)
class Claim:
    """A variable and the row that claims it, with the text of the row's holes."""

    variable: VariableInfo
    rule: WeightRule
    holes: Mapping[str, str]

    @property
    def targets(self) -> tuple[str, ...]:
        """Where the variable goes: nowhere, to one place, or to two that share it in the source."""
        return tuple(fill(target, self.holes) for target in (self.rule.target, self.rule.also) if target is not None)


@dataclass(frozen=True)
class Explanation:
    """What a dialect makes of a listing of variables. It explains the module only when nothing is left over."""

    dialect: Dialect
    claims: tuple[Claim, ...]
    unclaimed: tuple[VariableInfo, ...]
    ambiguous: tuple[tuple[VariableInfo, tuple[WeightRule, ...]], ...] = ()
    idle: tuple[WeightRule, ...] = field(default=())
    missing: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        return bool(self.claims) and not (self.unclaimed or self.ambiguous or self.idle or self.missing)

    def complaints(self) -> tuple[str, ...]:
        """Why it is no explanation, one line a reason."""
        lines = [f"no row claims {v.name} {list(v.shape)}" for v in self.unclaimed]
        lines += [f"{v.name} is claimed by {' and '.join(r.source for r in rows)}" for v, rows in self.ambiguous]
        lines += [f"nothing matches the row {rule.source}" for rule in self.idle]
        lines += [f"nothing matches {name}" for name in self.missing]
        return tuple(lines)


def explain(dialect: Dialect, variables: Iterable[VariableInfo]) -> Explanation:
    """Holds every variable against every row: exactly one row must claim each, and no row may stay idle."""
    claims, unclaimed, ambiguous = [], [], []
    used: Used = {}
    for variable in variables:
        found = [(rule, holes) for rule in dialect.rules if (holes := rule.match(variable.name)) is not None]
        for rule, holes in found:
            used.setdefault(rule, []).append(holes)
        if len(found) == 1:
            claims.append(Claim(variable, *found[0]))
        elif found:
            ambiguous.append((variable, tuple(rule for rule, _ in found)))
        else:
            unclaimed.append(variable)
    claims, used = _ranked(claims, used)
    groups = {rule.optional for rule in used if rule.optional}
    idle = tuple(r for r in dialect.rules if r not in used and (r.optional is None or r.optional in groups))
    numbers = {hole: _numbers(hole, used) for hole in NUMBERED}
    missing = tuple(
        _filled(rule.source, wanted)
        for rule, seen in used.items()
        for wanted in _wanted(rule, numbers)
        if not any(wanted.items() <= holes.items() for holes in seen)
    )
    return Explanation(dialect, tuple(claims), tuple(unclaimed), tuple(ambiguous), idle, missing)


Used = dict[WeightRule, list[dict[str, str]]]


def _ranked(claims: list[Claim], used: Used) -> tuple[list[Claim], Used]:
    """Replaces suffixes that Keras gave to blocks, `""`, `_1`, `_12`, by their rank: they count on within a process."""
    suffixes = {holes["layer"] for seen in used.values() for holes in seen if "layer" in holes}
    if all(suffix.isdigit() for suffix in suffixes):
        return claims, used
    order = sorted(suffixes, key=lambda suffix: int(suffix.lstrip("_") or 0))
    rank = {suffix: str(i) for i, suffix in enumerate(order)}

    def ranked(holes: Mapping[str, str]) -> dict[str, str]:
        return {**holes, "layer": rank[holes["layer"]]} if "layer" in holes else dict(holes)

    return (
        [Claim(claim.variable, claim.rule, ranked(claim.holes)) for claim in claims],
        {rule: [ranked(holes) for holes in seen] for rule, seen in used.items()},
    )


def _numbers(hole: str, used: Mapping[WeightRule, list[dict[str, str]]]) -> list[str]:
    return sorted({holes[hole] for seen in used.values() for holes in seen if hole in holes}, key=int)


def _wanted(rule: WeightRule, numbers: Mapping[str, list[str]]) -> Iterator[dict[str, str]]:
    """Every combination of holes that a row must find: its alternatives, for each number that any row names."""
    counted = [hole for hole, _ in _holes(rule.source) if hole in numbers]
    for chosen in product(*(numbers[hole] for hole in counted)):
        for alternative in rule.alternatives:
            yield {**dict(zip(counted, chosen, strict=True)), **alternative}


def _filled(source: str, chosen: Mapping[str, str]) -> str:
    for hole, regex in _holes(source):
        written = "{" + (f"{hole}:{regex}" if regex else hole) + "}"
        source = source.replace(written, chosen.get(hole, "" if regex.startswith("(?:") else written))
    return source


def fill(template: str, holes: Mapping[str, str]) -> str:
    """Puts the text of the holes into a target template."""
    return re.sub(r"\{(\w+)\}", lambda match: holes[match[1]], template)


_PIECE = re.compile(r"([^{]*)(?:\{(\w+)(?::((?:[^{}]|\{[^{}]*\})*))?\})?")


def _holes(pattern: str) -> list[tuple[str, str]]:
    """Names and regular expressions of a pattern's holes, in order."""
    return [(name, regex) for _, name, regex in _PIECE.findall(pattern) if name]


@lru_cache(maxsize=1024)
def _compile(pattern: str) -> re.Pattern[str]:
    parts = []
    for literal, name, regex in _PIECE.findall(pattern):
        parts.append(re.escape(literal))
        if name:
            parts.append(f"(?P<{name}>{regex or (r'[0-9]+' if name in NUMBERED else '[^/]+')})")
    return re.compile("".join(parts))
