"""Layouts as sentences about axes: `hidden (heads size) -> hidden heads size`.

The left side names the axes of a stored tensor, the right side those of its target. Parentheses join axes that are
stored as one. The same sentence says how to move the tensor, which sizes its shape binds, and what the target's shape
must be. The idea is that of einops' patterns (Rogozhnikov, "Einops: Clear and Reliable Tensor Manipulations", ICLR
2022); here sizes are bound across a whole weight table.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Group = tuple[str, ...]
"""Axes stored as one; a plain axis is a group of one."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A parsed sentence: the axes of a stored tensor and of the rebuilt encoder's.

    Attributes:
        sentence: The sentence.
        left: Groups of axis names of the stored tensor; a group of several is stored as one axis.
        right: Groups of the same axis names of the rebuilt encoder's tensor.
    """

    sentence: str
    left: tuple[Group, ...]
    right: tuple[Group, ...]

    @property
    def axes(self) -> tuple[str, ...]:
        return tuple(axis for group in self.left for axis in group)

    def inverse(self) -> Layout:
        """The layout that undoes this one."""
        stored, arrow, rebuilt = self.sentence.partition("->")
        return parse(f"{rebuilt.strip()} -> {stored.strip()}") if arrow else self

    def transposed(self) -> Layout:
        """The layout of the same tensor stored with its axes in reverse order."""
        stored = " ".join(group[0] if len(group) == 1 else f"({' '.join(group)})" for group in reversed(self.left))
        return parse(f"{stored} -> {self.sentence.rpartition('->')[2].strip()}")

    def apply(self, array: npt.NDArray[np.generic], sizes: Mapping[str, int]) -> npt.NDArray[np.generic]:
        """Rearranges `array`, whose shape is `left` with these sizes, into `right`; no element changes.

        Raises ValueError when the array's shape is not the sentence's.
        """
        import numpy as np

        if (expected := shape_of(self.left, sizes)) != array.shape:
            raise ValueError(f"layout '{self.sentence}' wants shape {list(expected)}, found {list(array.shape)}")
        split = array.reshape([sizes[axis] for axis in self.axes])
        order = [self.axes.index(axis) for group in self.right for axis in group]
        moved = split if order == sorted(order) else split.transpose(order)
        return np.ascontiguousarray(moved).reshape(shape_of(self.right, sizes))


@lru_cache(maxsize=256)
def parse(sentence: str) -> Layout:
    """Reads a sentence. A sentence without an arrow leaves the tensor as it is.

    Raises ValueError for a malformed sentence: an axis named twice, or on one side only.
    """
    stored, arrow, rebuilt = sentence.partition("->")
    left, right = _groups(stored), _groups(rebuilt if arrow else stored)
    for side in (left, right):
        names = [axis for group in side for axis in group]
        if len(set(names)) != len(names):
            raise ValueError(f"layout '{sentence}' names an axis twice")
    if {axis for group in left for axis in group} != {axis for group in right for axis in group}:
        raise ValueError(f"layout '{sentence}' does not have the same axes on both sides")
    return Layout(sentence=sentence.strip(), left=left, right=right)


def bind(layout: Layout, shape: tuple[int, ...], sizes: Mapping[str, int]) -> dict[str, int]:
    """The sizes that `shape` adds to the known ones: first sight defines, every later sight must agree.

    A joined group defines its one unknown axis when the others are known, and otherwise defines nothing.
    Raises ValueError, naming the axis, both sizes and the sentence, when they disagree.
    """
    if len(shape) != len(layout.left):
        raise ValueError(f"layout '{layout.sentence}' wants {len(layout.left)} axes, found shape {list(shape)}")
    known = dict(sizes)
    for group, size in zip(layout.left, shape, strict=True):
        unknown = [axis for axis in group if axis not in known]
        product = math.prod(known[axis] for axis in group if axis in known)
        if not unknown and product != size:
            raise ValueError(f"{_named(group)} is {product} elsewhere, but {size} here (shape {list(shape)})")
        if len(unknown) == 1:
            if not product or size % product:
                raise ValueError(f"{_named(group)} is {size} here, which {product} does not divide")
            known[unknown[0]] = size // product
    return known


def shape_of(groups: tuple[Group, ...], sizes: Mapping[str, int]) -> tuple[int, ...]:
    """The shape that groups of axes have under these sizes."""
    return tuple(math.prod(sizes[axis] for axis in group) for group in groups)


def _groups(side: str) -> tuple[Group, ...]:
    tokens = re.findall(r"\([^()]*\)|[a-z_]+|\S", side)
    for token in tokens:
        if not re.fullmatch(r"\([a-z_ ]+\)|[a-z_]+", token):
            raise ValueError(f"cannot read '{token}' in the layout side '{side.strip()}'")
    return tuple(tuple(token.strip("()").split()) for token in tokens)


def _named(group: Group) -> str:
    return group[0] if len(group) == 1 else "(" + " ".join(group) + ")"
