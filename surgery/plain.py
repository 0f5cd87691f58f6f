"""Results as JSON-ready data, for the manifest and for programs that read the command line's output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any


def plain(value: Any) -> Any:
    """A value as JSON data: dataclasses become objects, tuples become lists.

    JSON has no NaN and no infinities: they become None.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {key: plain(item) for key, item in vars(value).items()}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    return value


def size_of(value: float | None) -> float:
    """The size of an error or a difference in such data, to compare it with others: None is infinity."""
    return float("inf") if value is None else value
