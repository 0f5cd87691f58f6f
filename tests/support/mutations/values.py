"""Edits of an export's weights: each takes all values by name, and returns those that it changes."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from tests.support.tampering import Values

UNUSED = 700
"""A word of which no batch of the mutations has the id."""

ValuesEdit = Callable[[Values], Values]


def names(values: Values, pattern: str) -> list[str]:
    """The names in which a pattern is found; there must be one."""
    found = [name for name in values if re.search(pattern, name)]
    assert found, f"no weight matches {pattern}"
    return found


def exchange(left: str, right: str, within: str = "") -> ValuesEdit:
    """Gives weights each other's values: those with `left` and with `right` in their names, behind `within`."""

    def edit(values: Values) -> Values:
        pairs = {name: name.replace(left, right) for name in names(values, within + left)}
        return {one: values[other] for pair in pairs.items() for one, other in (pair, pair[::-1])}

    return edit


def copy(source: str, target: str) -> ValuesEdit:
    """Gives weights with `target` in their names the values of those with `source` there."""
    return lambda values: {name: values[name.replace(target, source)] for name in names(values, target)}


def change(pattern: str, function: Callable[[np.ndarray], np.ndarray]) -> ValuesEdit:
    """Changes the weights of these names, one by one."""
    return lambda values: {name: function(values[name].copy()) for name in names(values, pattern)}


def next_number(array: np.ndarray) -> np.ndarray:
    """One element becomes the next larger number that float32 has."""
    array.flat[array.size // 2] = np.nextafter(array.flat[array.size // 2], np.float32(np.inf))
    return array


def without_a_word(array: np.ndarray) -> np.ndarray:
    """The row of a word that no batch has becomes zero."""
    array[UNUSED] = 0
    return array


def with_first_rows_swapped(array: np.ndarray) -> np.ndarray:
    """The rows 1 and 2 of a table change places."""
    array[[1, 2]] = array[[2, 1]]
    return array


def split_otherwise(array: np.ndarray) -> np.ndarray:
    """The columns of a projection [hidden, heads, size], taken apart as [hidden, size, heads]."""
    hidden, heads, size = array.shape
    return np.ascontiguousarray(array.reshape(hidden, size, heads).transpose(0, 2, 1))
