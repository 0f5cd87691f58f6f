"""The grammar of weight tables: a row claims variables by their whole name and says where they go.

A pattern is a name with holes. `{layer}` and `{ffn}` match digits, `{name}` matches anything except a slash, and
`{name:regex}` matches the regular expression. A `layer` that is not a number is replaced by its rank. The target
repeats the holes, as in `transformer/layer_{layer}/…`, and gets their text. A counting hole of the target that the
pattern lacks is the last of its kind: a name without a number goes after those with one. Names match whole, never in
part, so that the order of the rows has no meaning.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
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
    """One row: a pattern of variable names, and either a target with a layout or a reason to drop the variable.

    A hole with alternatives, `{leaf:gamma|beta}`, demands a variable for each of them.

    Attributes:
        pattern: The variables' names, with holes.
        target: Name of the weight in the rebuilt encoder, with the same holes; None for a variable that is dropped.
        layout: The axes before and after, see layout; None for a variable that is dropped.
        part: The part that owns the target: "encoder", or the name of a sub-model such as "mlm".
        because: The reason why a variable is dropped.
        optional: Name of a group of rows of which all claim something, or none does. A row without a group must claim
            something.
        also: A second target, for a weight that the module uses twice and the encoder has twice.
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

    @property
    def beginning(self) -> str:
        """The text before the first hole, with which every name that matches begins."""
        return self.pattern.partition("{")[0]

    @property
    def ends(self) -> tuple[str, str]:
        """The text before the first hole and that after the last: every name that matches begins and ends so."""
        return self.beginning, self.pattern.rpartition("}")[2]

    def match(self, name: str) -> dict[str, str] | None:
        """The text of each hole when the whole name matches, else None."""
        found = _compile(self.pattern).fullmatch(name)
        return found.groupdict() if found else None

    @property
    def last(self) -> tuple[str, ...]:
        """The counting holes that the target has and the pattern lacks, which stand for the last of their kind."""
        repeated = {name for name, _ in holes_of(self.pattern)}
        return tuple(name for name, _ in holes_of(self.target or "") if name in NUMBERED and name not in repeated)

    def match_target(self, target: str) -> dict[str, str] | None:
        """The text of each hole of the target when the whole name of a weight matches it, else None."""
        found = _compile(self.target).fullmatch(target) if self.target is not None else None
        return found.groupdict() if found else None

    def name_of(self, holes: Mapping[str, str], chosen: Mapping[str, str]) -> str:
        """The row read backwards: the variable's name, with the text of the target's holes.

        A hole that the target does not repeat gets its text from `chosen`. Without one it gets its first alternative,
        or no text if it may be empty.
        """
        texts = {name: _first(regex) for name, regex in holes_of(self.pattern)}
        return _filled(self.pattern, {**texts, **chosen, **holes})


def move(
    pattern: str,
    target: str,
    layout: str,
    *,
    part: str = "encoder",
    optional: str | None = None,
    also: str | None = None,
) -> WeightRule:
    """A row that carries a variable to a target: `move("a/{layer}/kernel", "b_{layer}/kernel", "in out -> out in")`.

    See WeightRule for the arguments; `layout` is a sentence as layout.parse reads it.
    """
    return WeightRule(pattern=pattern, target=target, layout=parse(layout), part=part, optional=optional, also=also)


def drop(pattern: str, *, because: str) -> WeightRule:
    """A row that drops a variable, with the reason. It is optional: a group of its own."""
    return WeightRule(pattern=pattern, target=None, layout=None, because=because, optional=f"drop {pattern}")


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """The names that one exporter or publisher gives to a family's weights.

    Attributes:
        generation: Name of the generation by calling convention, "list" or "dict".
        rules: The weight rows.
        publisher: How checkpoints of these names are to be read; None where there are only modules.
        outputs: The encoder's outputs by the exporter's name for them, where it differs. A list of the exporter's may
            stand for several, of which the last is a list as well.
    """

    generation: Mapping[str, str]
    rules: tuple[WeightRule, ...]
    publisher: Publisher | None = None
    outputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


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


def _filled(pattern: str, texts: Mapping[str, str]) -> str:
    return "".join(literal + (texts[name] if name else "") for literal, name, _ in _PIECE.findall(pattern))


def _first(regex: str) -> str:
    """The first alternative of a hole's regular expression, no text for one that may be empty."""
    return "" if regex.endswith("?") else regex.removeprefix("(?:").removesuffix(")").split("|")[0]
