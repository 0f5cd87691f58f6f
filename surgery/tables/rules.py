"""The weight table's grammar: one row claims variables by their whole name and says where they go.

A pattern is a name with holes: `{layer}` and `{ffn}` match digits, `{name}` anything but a slash, `{name:regex}` what
the regex says; a `layer` that is no number is ranked. A hole's text is carried into the target,
`transformer/layer_{layer}/…`. Names match whole, never in part, so the order of rows means nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING

from surgery.tables.layout import Layout, parse

if TYPE_CHECKING:
    from surgery.tables.publisher import Publisher

NUMBERED = ("layer", "ffn")
"""Holes that count: blocks, and feed-forward networks within a block."""


@dataclass(frozen=True, kw_only=True)
class WeightRule:
    """One row: a pattern of source names and either a target with a layout, or the reason why it is dropped.

    `part` is the sub-model that carries the target ("encoder", or "mlm" for the masked-LM head). `optional` names a
    group of rows of which all claim something, or none; a row without a group must claim something. Where a hole
    lists alternatives, `{leaf:gamma|beta}`, each of them must be there. `also` is a second target, of a weight that the
    source uses in two places and the encoder has twice.
    """

    pattern: str
    target: str | None
    layout: Layout | None
    part: str = "encoder"
    because: str | None = None
    optional: str | None = None
    also: str | None = None

    @property
    def alternatives(self) -> tuple[dict[str, str], ...]:
        """Every combination of the holes that list plain alternatives."""
        listed = {
            hole: regex.split("|") for hole, regex in holes_of(self.pattern) if re.fullmatch(r"\w+(\|\w+)+", regex)
        }
        return tuple(dict(zip(listed, texts, strict=True)) for texts in product(*listed.values()))

    def match(self, name: str) -> dict[str, str] | None:
        """The text of each hole when the whole name matches, else None."""
        found = _compile(self.pattern).fullmatch(name)
        return found.groupdict() if found else None


def move(
    pattern: str,
    target: str,
    layout: str,
    *,
    part: str = "encoder",
    optional: str | None = None,
    also: str | None = None,
) -> WeightRule:
    """A row that carries a variable to a target: `move("a/{layer}/kernel", "b_{layer}/kernel", "in out -> out in")`."""
    return WeightRule(pattern=pattern, target=target, layout=parse(layout), part=part, optional=optional, also=also)


def drop(pattern: str, *, because: str) -> WeightRule:
    """A row that leaves a variable behind, knowingly. Always optional, a group of its own."""
    return WeightRule(pattern=pattern, target=None, layout=None, because=because, optional=f"drop {pattern}")


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """One generation's names for a family: `generation` per calling convention ("list" or "dict" in).

    `publisher` says how its checkpoints are to be read, where it has any.
    """

    generation: Mapping[str, str]
    rules: tuple[WeightRule, ...]
    publisher: Publisher | None = None


def fill(template: str, holes: Mapping[str, str]) -> str:
    """Puts the text of the holes into a target template."""
    return re.sub(r"\{(\w+)\}", lambda match: holes[match[1]], template)


_PIECE = re.compile(r"([^{]*)(?:\{(\w+)(?::((?:[^{}]|\{[^{}]*\})*))?\})?")


def holes_of(pattern: str) -> list[tuple[str, str]]:
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
