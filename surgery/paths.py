"""Paths as people type them: a leading `~` stands for a home folder, also where a shell has not replaced it.

A shell leaves it alone in quotes and behind other characters (`"~/bert"`, `--output=~/x`), and Python leaves it alone
everywhere. A folder of that name beside the current one would be a surprise.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from surgery.errors import UsageError


def at_home(path: Any, name: str = "path") -> Any:
    """A path, or several, with a leading `~` or `~user` replaced by the home folder. All else comes back unchanged.

    A path that exists literally is meant literally. Raises UsageError for a user without a home folder, and for an
    empty text, with the `name` of the argument: Python takes it for the current folder, and --overwrite may replace
    that.
    """
    if isinstance(path, str | PathLike):
        return _expanded(path, name)
    if isinstance(path, Iterable) and not isinstance(path, bytes | Mapping):
        return tuple(at_home(item, name) for item in path)
    return path


def _expanded(path: str | PathLike[str], name: str) -> str | PathLike[str]:
    text = os.fspath(path)
    if text == "":
        raise UsageError(
            f"reading the argument {name}: expected a path, found an empty text",
            hint="a shell variable that is not set gives an empty text; the current folder is written as .",
        )
    if not isinstance(text, str) or not text.startswith("~") or os.path.lexists(text):
        return path
    found = os.path.expanduser(text)
    if found == text:
        user = text.split("/", 1)[0]
        raise UsageError(
            f"reading the path {text}: expected {user} to be the home folder of a user, found no such user",
            hint=f"if {user} is the name of a folder, write ./{text}",
        )
    return found if isinstance(path, str) else Path(found)
