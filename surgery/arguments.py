"""Arguments of the public functions: one value or several, and how an error names an argument.

The same argument is `overwrite=True` in Python and `--overwrite` on the command line, and one error serves both. The
text of an error therefore marks each argument with its name and value, and the caller that shows the error spells it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable
from os import PathLike
from typing import Any, TypeAlias, TypeVar

PathOrHandle = str | PathLike[str]
"""The path of a folder or archive, or a Hub handle (a URL)."""

T = TypeVar("T")
OneOrMore: TypeAlias = T | Iterable[T]
"""One value, or several of the same kind. A bare string is one value, never its letters."""

MARK = "\x1f"
"""ASCII's unit separator stands before and after an argument. People do not type it."""


def one_or_more(things: OneOrMore[Any]) -> tuple[Any, ...]:
    """The values as a tuple. A string, a path or a number is one value."""
    if isinstance(things, Iterable) and not isinstance(things, str | bytes | PathLike):
        return tuple(things)
    return (things,)


def argument(name: str, value: Any = ...) -> str:
    """An argument with its value, marked for the text of an error; `...` stands for any value."""
    return f"{MARK}{name}={_literal(value)}{MARK}"


def spelled(text: str, spell: Callable[[str, Any], str] | None = None) -> str:
    """A text whose marked arguments are spelled by `spell(name, value)`, or by default as Python writes them."""

    def replace(marked: re.Match[str]) -> str:
        name, _, literal = marked[1].partition("=")
        try:
            return marked[1] if spell is None else spell(name, ast.literal_eval(literal))
        except (SyntaxError, ValueError):  # an object, which the command line cannot pass
            return marked[1]

    return re.sub(f"{MARK}([^{MARK}]*){MARK}", replace, text)


def _literal(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {_literal(item)}" for key, item in value.items()) + "}"
    return "..." if value is ... else repr(str(value) if isinstance(value, PathLike) else value)
