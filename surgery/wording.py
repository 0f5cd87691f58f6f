"""Pieces of sentences: shapes, sizes and numbers for people, and the nearest name to a misspelt one."""

from __future__ import annotations

from collections.abc import Iterable


def shape_text(shape: Iterable[int | None] | None) -> str:
    """`[?, ?, 64]`, or `unknown rank`."""
    if shape is None:
        return "unknown rank"
    return "[" + ", ".join("?" if size is None else str(size) for size in shape) + "]"


def size(count: int) -> str:
    """Bytes as people read them: 417.6 MiB."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024 or unit == "MiB":
            return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    raise AssertionError


def number(value: float | None) -> str:
    """A measured number with two digits; None stands for infinity, which JSON cannot hold."""
    return "inf" if value is None else "0" if value == 0 else f"{value:.2g}"
