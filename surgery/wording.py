"""Pieces of sentences for people: shapes, sizes, numbers, and suggestions for a misspelt name."""

from __future__ import annotations

from collections.abc import Iterable


def shape_text(shape: Iterable[int | None] | None) -> str:
    """A shape such as `[?, ?, 64]`; `unknown rank` for None."""
    if shape is None:
        return "unknown rank"
    return "[" + ", ".join("?" if size is None else str(size) for size in shape) + "]"


def size(count: int) -> str:
    """A number of bytes with its unit, such as `417.6 MiB`."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024 or unit == "MiB":
            return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    raise AssertionError


def number(value: float | None) -> str:
    """A measured number with two digits. None is infinity, which JSON cannot hold."""
    return "inf" if value is None else "0" if value == 0 else f"{value:.2g}"


def is_number(text: str) -> bool:
    """Whether a text is a whole number in plain digits, as in a version's folder: `7`. To `str.isdigit`, `²` is one."""
    return text.isascii() and text.isdigit()


def did_you_mean(candidates: Iterable[object]) -> str | None:
    """The question `did you mean query_0 or query_1?`, for the hint of an error; None without a candidate."""
    listed = " or ".join(map(str, candidates))
    return f"did you mean {listed}?" if listed else None
