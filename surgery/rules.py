"""The weight table's grammar: one row claims variables by their whole name and says where they go.

A pattern is a name with holes: `{layer}` matches digits, `{name}` anything but a slash, `{name:regex}` what the
regex says. A hole's text is carried into the target, `transformer/layer_{layer}/…`. Names match whole, never in
part, so the order of rows means nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from surgery.layout import Layout, parse
from surgery.module import VariableInfo


@dataclass(frozen=True)
class WeightRule:
    """One row: a source name pattern and either a target with a layout, or the reason why it is dropped.

    `part` is the sub-model that carries the target ("encoder", or "mlm" for the masked-LM head). An `optional` row
    may claim nothing; any other row that claims nothing means that the table does not explain the module.
    """

    source: str
    target: str | None
    layout: Layout | None
    part: str = "encoder"
    because: str | None = None
    optional: bool = False

    def match(self, name: str) -> dict[str, str] | None:
        """The text of each hole when the whole name matches, else None."""
        found = _compile(self.source).fullmatch(name)
        return found.groupdict() if found else None


def move(source: str, target: str, layout: str, *, part: str = "encoder", optional: bool = False) -> WeightRule:
    """A row that carries a variable to a target: `move("a/{layer}/kernel", "b_{layer}/kernel", "in out -> out in")`."""
    return WeightRule(source, target, parse(layout), part=part, optional=optional)


def drop(source: str, *, because: str) -> WeightRule:
    """A row that leaves a variable behind, knowingly. Always optional."""
    return WeightRule(source, None, None, because=because, optional=True)


@dataclass(frozen=True)
class Dialect:
    """One generation's names for a family: `name` per calling convention ("list" or "dict" in)."""

    generation: Mapping[str, str]
    rules: tuple[WeightRule, ...]


@dataclass(frozen=True)
class Claim:
    """A variable and the row that claims it, with the text of the row's holes."""

    variable: VariableInfo
    rule: WeightRule
    holes: Mapping[str, str]

    @property
    def target(self) -> str | None:
        return None if self.rule.target is None else fill(self.rule.target, self.holes)


@dataclass(frozen=True)
class Explanation:
    """What a dialect makes of a listing of variables. It explains the module only when nothing is left over."""

    dialect: Dialect
    claims: tuple[Claim, ...]
    unclaimed: tuple[VariableInfo, ...]
    ambiguous: tuple[tuple[VariableInfo, tuple[WeightRule, ...]], ...] = ()
    idle: tuple[WeightRule, ...] = field(default=())

    @property
    def complete(self) -> bool:
        return bool(self.claims) and not (self.unclaimed or self.ambiguous or self.idle)

    def complaints(self) -> tuple[str, ...]:
        """Why it is no explanation, one line a reason."""
        lines = [f"no row claims {v.name} {list(v.shape)}" for v in self.unclaimed]
        lines += [f"{v.name} is claimed by {' and '.join(r.source for r in rows)}" for v, rows in self.ambiguous]
        lines += [f"nothing matches the row {rule.source}" for rule in self.idle]
        return tuple(lines)


def explain(dialect: Dialect, variables: Iterable[VariableInfo]) -> Explanation:
    """Holds every variable against every row: exactly one row must claim each, and no row may stay idle."""
    claims, unclaimed, ambiguous = [], [], []
    used: set[WeightRule] = set()
    for variable in variables:
        found = [(rule, holes) for rule in dialect.rules if (holes := rule.match(variable.name)) is not None]
        used.update(rule for rule, _ in found)
        if len(found) == 1:
            claims.append(Claim(variable, *found[0]))
        elif found:
            ambiguous.append((variable, tuple(rule for rule, _ in found)))
        else:
            unclaimed.append(variable)
    idle = tuple(rule for rule in dialect.rules if not rule.optional and rule not in used)
    return Explanation(dialect, tuple(claims), tuple(unclaimed), tuple(ambiguous), idle)


def fill(template: str, holes: Mapping[str, str]) -> str:
    """Puts the text of the holes into a target template."""
    return re.sub(r"\{(\w+)\}", lambda match: holes[match[1]], template)


@lru_cache(maxsize=1024)
def _compile(pattern: str) -> re.Pattern[str]:
    parts = []
    for literal, name, regex in re.findall(r"([^{]*)(?:\{(\w+)(?::((?:[^{}]|\{[^{}]*\})*))?\})?", pattern):
        parts.append(re.escape(literal))
        if name:
            parts.append(f"(?P<{name}>{regex or (r'[0-9]+' if name == 'layer' else '[^/]+')})")
    return re.compile("".join(parts))
