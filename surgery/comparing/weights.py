"""The values of two modules' variables, pair by pair. One value of each module is in memory at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from surgery.comparing.pairing import CONTENT, TRIES, Pair, Stored, by_content, pairs_of
from surgery.comparing.sides import Side
from surgery.comparing.values import ValueDifference, difference, sample
from surgery.module import VariableInfo
from surgery.progress import Progress
from surgery.tables import layout
from surgery.tables.layout import Layout

EQUAL, CHANGED, SHAPE, ONLY_A, ONLY_B, UNREADABLE = "equal", "changed", "shape", "only A", "only B", "not compared"

Read = Callable[[VariableInfo], np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Weight:
    """A pair of variables, compared.

    Attributes:
        pair: The two variables.
        state: "equal", "changed", "shape" for two shapes of one weight, "only A", "only B", or "not compared".
        relaid: Whether the two are stored in different layouts: other shapes or other orders of the axes.
        dtypes: The two dtypes, if they differ.
        difference: How the values differ; of two shapes, those of the rows that both have. None for equal values, and
            where there is nothing to compare.
        holds: Name of the weight of A that has exactly the value which B has here, if it is not this one.
        reason: Why two variables could not be compared.
    """

    pair: Pair
    state: str
    relaid: bool = False
    dtypes: tuple[str, str] | None = None
    difference: ValueDifference | None = None
    holds: str | None = None
    reason: str | None = None

    @property
    def same(self) -> bool:
        """Whether nothing but the layout differs."""
        return self.state == EQUAL and self.dtypes is None


class _Values:
    """The values of both modules, in the layout in which they can be compared."""

    def __init__(self, a: Side, b: Side) -> None:
        self._sides = (a, b)
        self.read: tuple[Read, Read] = (self._reader(a), self._reader(b))

    def of(self, a: Stored, b: Stored) -> tuple[np.ndarray, np.ndarray]:
        """The values of two variables. Raises ValueError where the layouts differ and cannot be applied."""
        try:
            return self.alone(0, a), self.alone(1, b)
        except ValueError:
            if relaid(a, b):
                raise
            return self.read[0](a.variable), self.read[1](b.variable)

    def alone(self, number: int, stored: Stored) -> np.ndarray:
        """A value of one side in the layout of the encoder's weight; as it is stored where no layout is known.

        Raises ValueError where the sizes of its axes are not known.
        """
        value = self.read[number](stored.variable)
        if stored.layout is None or stored.layout.left == stored.layout.right:
            return value
        return stored.layout.apply(value, self._bound(number, stored.layout, value.shape))

    def _bound(self, number: int, sentence: Layout, shape: tuple[int, ...]) -> dict[str, int]:
        """The sizes of the axes: from the shape, and of joined axes from what is known of either module."""
        sizes = layout.bind(sentence, shape, {})
        if missing := set(sentence.axes) - set(sizes):
            known = self._sides[number].sizes or self._sides[1 - number].sizes
            sizes = layout.bind(sentence, shape, {axis: known[axis] for axis in missing if axis in known})
        if missing := set(sentence.axes) - set(sizes):
            raise ValueError(f"nothing says how large {' and '.join(sorted(missing))} is")
        return sizes

    @staticmethod
    def _reader(side: Side) -> Read:
        opened = cache(side.module.open_tensors)
        return lambda variable: opened().read(variable)


def compare_weights(a: Side, b: Side, progress: Progress) -> tuple[Weight, ...]:
    """Compares all variables of two modules. Raises ModuleError for weights that are missing or damaged."""
    values = _Values(a, b)
    pairs = by_content(pairs_of(a, b), values.read)
    samples: dict[Hashable, list[Pair]] = defaultdict(list)
    weights = []
    for number, pair in enumerate(pairs):
        progress("comparing weights", number, len(pairs))
        weights.append(_compared(pair, values, samples))
    progress("comparing weights", len(pairs), len(pairs))
    return tuple(_located(weights, values, samples))


def relaid(a: Stored, b: Stored) -> bool:
    """Whether two variables of one meaning are stored in different layouts."""
    if a.layout is None or b.layout is None:
        return False
    return _arrangement(a.layout) != _arrangement(b.layout)


def _arrangement(layout: Layout) -> tuple[tuple[int, ...], ...]:
    """The stored axes by their numbers in the target: what a layout does, whatever it calls the axes."""
    number = {axis: i for i, axis in enumerate(axis for group in layout.right for axis in group)}
    return tuple(tuple(number[axis] for axis in group) for group in layout.left)


def _compared(pair: Pair, values: _Values, samples: dict[Hashable, list[Pair]]) -> Weight:
    if pair.a is None or pair.b is None:
        if pair.a is not None and pair.a.variable.nbytes:
            with suppress(ValueError):
                _note(samples, pair, values.alone(0, pair.a))
        return Weight(pair=pair, state=ONLY_B if pair.a is None else ONLY_A)
    moved = relaid(pair.a, pair.b)
    names = (pair.a.variable.dtype, pair.b.variable.dtype)
    dtypes = None if names[0] == names[1] else names
    try:
        left, right = values.of(pair.a, pair.b)
    except ValueError as error:
        return Weight(pair=pair, state=UNREADABLE, relaid=moved, dtypes=dtypes, reason=str(error))
    _note(samples, pair, left)
    if pair.by == CONTENT and left.shape != right.shape:
        left, right, moved = left.reshape(-1), right.reshape(-1), True
    if left.shape != right.shape:
        return Weight(pair=pair, state=SHAPE, relaid=moved, dtypes=dtypes, difference=_of_common_rows(left, right))
    found = difference(left, right)
    return Weight(pair=pair, state=CHANGED if found else EQUAL, relaid=moved, dtypes=dtypes, difference=found)


def _of_common_rows(left: np.ndarray, right: np.ndarray) -> ValueDifference | None:
    """The difference of the rows that two tables have: their other axes must be equal."""
    if left.ndim != right.ndim or left.shape[1:] != right.shape[1:] or left.ndim < 2:
        return None
    rows = min(len(left), len(right))
    return difference(left[:rows], right[:rows])


def _note(samples: dict[Hashable, list[Pair]], pair: Pair, value: np.ndarray) -> None:
    """Remembers what A has where, except for values that say nothing because a sample of them is constant."""
    key = _key(value)
    if key is not None:
        samples[key].append(pair)


def _key(value: np.ndarray) -> Hashable | None:
    flat = value.reshape(-1)
    picked = flat[:: max(1, flat.size // 32)]
    return sample(value) if picked.size and bool((picked != picked[0]).any()) else None


def _located(weights: list[Weight], values: _Values, samples: Mapping[Hashable, list[Pair]]) -> Iterator[Weight]:
    """The weights; those of B that have exactly the value of another weight of A say which."""
    for weight in weights:
        stored = weight.pair.b
        if stored is None or weight.state not in (CHANGED, ONLY_B) or not stored.variable.nbytes:
            yield weight
            continue
        holds = None
        with suppress(ValueError):
            value = values.alone(1, stored)
            for other in samples.get(_key(value), [])[:TRIES]:
                if other.a is not None and other is not weight.pair:
                    there = values.alone(0, other.a)
                    if there.shape == value.shape and difference(there, value) is None:
                        holds = other.name
                        break
        yield replace(weight, holds=holds)
