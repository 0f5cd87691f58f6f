"""Which variables of two modules belong together: by meaning, by name, or by content, in this order.

Two encoders of one family are paired by the weight of the encoder that each variable becomes, whatever their exporters
called it. What no table knows is paired by name, and the rest by content: the same bytes, in whatever shape.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from surgery.comparing.sides import Side
from surgery.comparing.values import same_bits, sample
from surgery.explanation.claims import Claim
from surgery.explanation.groups import group_of
from surgery.module import VariableInfo, is_attribute
from surgery.tables.layout import Layout

MEANING, NAME, CONTENT = "meaning", "name", "content"
BESIDE = "beside the encoder"
"""The group of variables that are no weights of the encoder, such as a classifier's or an optimiser's."""
TRIES = 4
"""Variables of equal samples that are compared as wholes with one that may have their content."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A variable of one side.

    Attributes:
        variable: The variable.
        layout: Its axes, and those of the encoder's weight that it becomes; None where no table knows it.
    """

    variable: VariableInfo
    layout: Layout | None = None


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two variables that belong together, or one that has no partner.

    Attributes:
        name: The name of the encoder's weight; of variables that no table knows, the name in A, or else in B.
        a: The variable of A; None where only B has one.
        b: The variable of B; None where only A has one.
        by: How they were paired: "meaning", "name" or "content"; "" for one without a partner.
        group: The part of the model: "embeddings", "blocks", "pooler", a submodel such as ".mlm", or for what no table
            knows the beginning of its name.
        block: The number of the block, from 0; None for other groups.
    """

    name: str
    a: Stored | None
    b: Stored | None
    by: str
    group: str
    block: int | None = None


def pairs_of(a: Side, b: Side) -> list[Pair]:
    """The variables of two modules in pairs by meaning and by name, in the order of A, and what has no partner.

    Constants of the module, such as `do_lower_case`, are not among them.
    """
    found: list[Pair] = []
    known = a.family is not None and b.family is not None and a.family.name == b.family.name
    if known:
        found += _by_meaning(a, b)
    rest = [_rest(one, known) for one in (a, b)]
    found += _by_key(*rest)
    return found


def by_content(pairs: Iterable[Pair], read: tuple[Callable[[VariableInfo], np.ndarray], ...]) -> list[Pair]:
    """The pairs, where variables without a partner have become pairs if they hold the same bytes.

    A weight of which a table knows the meaning stays alone: its bytes in another place mean something else.

    Args:
        pairs: The pairs.
        read: Functions that read a variable of A, and of B.
    """
    pairs = list(pairs)
    left = [pair for pair in pairs if pair.a is not None and pair.b is None and pair.a.layout is None]
    right = [pair for pair in pairs if pair.b is not None and pair.a is None and pair.b.layout is None]
    sizes = [{_bulk(_only(pair)) for pair in side} for side in (left, right)]
    wanted: dict[Hashable, list[Pair]] = defaultdict(list)
    for pair in right:
        if _bulk(_only(pair)) in sizes[0] and (key := _content(read[1](_only(pair)))) is not None:
            wanted[key].append(pair)
    partners: dict[int, Pair] = {}
    for pair in left:
        if not wanted or _bulk(_only(pair)) not in sizes[1]:
            continue
        value = read[0](_only(pair))
        candidates = wanted.get(_content(value), [])
        for other in candidates[:TRIES]:
            if same_bits(value, read[1](_only(other))):
                candidates.remove(other)
                partners[id(pair)] = other
                break
    taken = {id(pair) for pair in partners.values()}
    return [
        pair
        if id(pair) not in partners
        else Pair(name=pair.name, a=pair.a, b=partners[id(pair)].b, by=CONTENT, group=pair.group, block=pair.block)
        for pair in pairs
        if id(pair) not in taken
    ]


def _only(pair: Pair) -> VariableInfo:
    """The variable of a pair that has no partner."""
    stored = pair.a or pair.b
    assert stored is not None, "a pair has a variable"
    return stored.variable


def _bulk(variable: VariableInfo) -> Hashable:
    return variable.dtype, variable.nbytes


def _content(value: np.ndarray) -> Hashable | None:
    """A key that is equal for equal bytes; None where they say nothing, because all elements are equal."""
    flat = value.reshape(-1)
    return sample(flat) if flat.size and bool((flat != flat[0]).any()) else None


def _by_meaning(a: Side, b: Side) -> Iterator[Pair]:
    """A pair for each weight of the encoder that either side has."""
    assert a.family is not None, "both have one family"
    sides = [dict(_targets(one.claims)) for one in (a, b)]
    for target in dict.fromkeys([*sides[0], *sides[1]]):
        claims = [targets.get(target) for targets in sides]
        group, block = group_of(a.family, target, next(claim for claim in claims if claim is not None))
        stored = [None if c is None else Stored(variable=c.variable, layout=c.rule.layout) for c in claims]
        by = MEANING if all(claims) else ""
        yield Pair(name=target, a=stored[0], b=stored[1], by=by, group=group, block=block)


def _targets(claims: Iterable[Claim]) -> Iterator[tuple[str, Claim]]:
    for claim in claims:
        for target in claim.targets:
            yield target, claim


def _rest(one: Side, known: bool) -> dict[Hashable, tuple[VariableInfo, str]]:
    """Variables that were not paired by meaning, by the key that pairs them, with their group."""
    meant = {claim.variable.address for claim in one.claims if claim.targets} if known else set()
    dropped = {claim.variable.address for claim in one.claims if not claim.targets} if known else set()
    rest = [v for v in one.module.variables if v.address not in meant and not _is_constant(v)]
    common = _common_scope([v.name for v in rest]) if not known else ""
    found: dict[Hashable, tuple[VariableInfo, str]] = {}
    seen: Counter[str] = Counter()
    for variable in rest:
        if variable.outside is not None or variable.address in dropped or known:
            group = BESIDE
        else:
            group = variable.name[len(common) :].replace(".", "/").partition("/")[0]
        # Names need not be unique: the second one of a name pairs with the second one.
        found[variable.name, seen[variable.name]] = (variable, group)
        seen[variable.name] += 1
    return found


def _is_constant(variable: VariableInfo) -> bool:
    return variable.outside is None and is_attribute(variable)


def _common_scope(names: list[str]) -> str:
    """The scopes with which all names begin, with the last slash."""
    scopes = [name.replace(".", "/").split("/")[:-1] for name in names]
    shared = 0
    while scopes and all(len(s) > shared and s[shared] == scopes[0][shared] for s in scopes):
        shared += 1
    return "".join(f"{scope}/" for scope in scopes[0][:shared]) if scopes else ""


def _by_key(
    left: dict[Hashable, tuple[VariableInfo, str]], right: dict[Hashable, tuple[VariableInfo, str]]
) -> Iterator[Pair]:
    for key in dict.fromkeys([*left, *right]):
        ends = [side.get(key) for side in (left, right)]
        variable, group = next(end for end in ends if end is not None)
        stored = [None if end is None else Stored(variable=end[0]) for end in ends]
        yield Pair(name=variable.name, a=stored[0], b=stored[1], by=NAME if all(ends) else "", group=group)
