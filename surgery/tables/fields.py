"""Hyperparameters: what each means, what kind of value it has, and which values are valid."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Field:
    """A hyperparameter.

    Attributes:
        meaning: One line for people.
        kind: The kind of value: "size" (a whole number from 1), "id" (a whole number from 0), "rate" (from 0 below 1),
            "epsilon" (small and positive), "flag" (true or false), "activation" (a name) or "number" (any).
    """

    meaning: str
    kind: str


VALID_NAMES: Mapping[str, str] = {
    "size": "a whole number from 1",
    "id": "a whole number from 0",
    "rate": "a rate from 0 below 1",
    "epsilon": "an epsilon above 0 and below 1",
    "flag": "true or false",
    "activation": "the name of an activation",
    "number": "a number",
}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


VALID: Mapping[str, Callable[[Any], bool]] = {
    "size": lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 1,
    "id": lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 0,
    "rate": lambda value: _is_number(value) and 0 <= value < 1,
    "epsilon": lambda value: _is_number(value) and 0 < value < 1,
    "flag": lambda value: isinstance(value, bool),
    "activation": lambda value: isinstance(value, str),
    "number": _is_number,
}
