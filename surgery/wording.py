"""Texts for people: names without control characters, shapes, sizes, numbers, and suggestions for a misspelt name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any


def shown(text: str) -> str:
    """A text for people, with every character that cannot be printed written as an escape, such as `\\x1b`.

    Names in modules come from strangers. Control characters of C0 and C1 could rewrite what a terminal shows, or reach
    its clipboard; overrides of the direction of writing could show a name backwards. Line ends and tabs stay.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


class Lines(str):
    """A text of several lines in the data of a report. In any other, a line end is part of a name."""


def all_shown(data: Any) -> Any:
    """The data of a report with all its texts as people may see them, see `shown`.

    Only those of type Lines have several lines: a name with line ends could add lines to a report.
    """
    if isinstance(data, str):
        text = shown(data)
        return text if isinstance(data, Lines) else text.replace("\n", "\\n").replace("\t", "\\t")
    if isinstance(data, dict):
        return _with_names_shown(data)
    if isinstance(data, list | tuple):
        return [all_shown(item) for item in data]
    return data


def _with_names_shown(data: dict[Any, Any]) -> dict[Any, Any]:
    """An object of the data of a report. Of two names that would be shown alike, neither hides the other."""
    found: dict[Any, Any] = {}
    for key, value in data.items():
        name = all_shown(key)
        while name in found:
            name = f"{name} (another)"
        found[name] = all_shown(value)
    return found


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


def plain_name(text: str) -> str:
    """A name for folders, URLs, shells and configuration files alike: letters and digits of ASCII, and `_ . -`.

    Letters lose their accents (`größe` is `grosse`), and other characters become `_`. It is "" where nothing is left.
    """
    import unicodedata

    letters = unicodedata.normalize("NFD", text.replace("ß", "ss"))
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", "".join(c for c in letters if not unicodedata.combining(c)))
    return plain.lstrip(".") if plain.strip("_.") else ""


def is_number(text: str) -> bool:
    """Whether a text is a whole number in plain digits, as in a version's folder: `7`. To `str.isdigit`, `²` is one."""
    return text.isascii() and text.isdigit()


def did_you_mean(candidates: Iterable[object]) -> str | None:
    """The question `did you mean query_0 or query_1?`, for the hint of an error; None without a candidate."""
    listed = " or ".join(map(str, candidates))
    return f"did you mean {listed}?" if listed else None
