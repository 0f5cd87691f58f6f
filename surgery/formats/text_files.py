"""Text files, and files of JSON, that come with a module. They are read within limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from surgery import limits
from surgery.formats.regular_files import check_regular


def read_json(path: Path) -> Any:
    """The value in a file of JSON.

    Raises OSError when it cannot be read, ValueError when it is no JSON in UTF-8, and LimitError when it is too large
    or too deep.
    """
    return parse_json(read_text(path), f"reading {path}")


def read_text(path: Path) -> str:
    """A text file in UTF-8.

    Raises as `read_bytes`, and ValueError when it is not UTF-8.
    """
    _check(path)
    return path.read_text(encoding="utf-8")


def read_bytes(path: Path) -> bytes:
    """The bytes of a file such as a vocabulary.

    Raises OSError when it cannot be read, ModuleError when it is a pipe or a device, and LimitError when it is too
    large.
    """
    _check(path)
    return path.read_bytes()


def _check(path: Path) -> None:
    check_regular(path)
    limits.check("text_bytes", path.stat().st_size, f"reading {path}")


def read_lines(path: Path) -> list[str]:
    """The lines of a text file as a lookup table reads them: ended by a line feed, and by nothing else.

    A vocabulary may have tokens such as U+2028, at which `str.splitlines` ends a line: every id behind would be wrong.
    Raises as `read_text`.
    """
    lines = read_text(path).split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def parse_json(text: str, doing: str) -> Any:
    """The value of a JSON text. Raises ValueError for other text, and LimitError for one that is too deep."""
    import json

    try:
        value = json.loads(text)
    except RecursionError as error:
        raise limits.exceeded("json_depth", None, doing) from error
    if deeper(value, limits.limit("json_depth")):
        raise limits.exceeded("json_depth", None, doing)
    return value


def deeper(value: Any, levels: int) -> bool:
    """Whether objects and lists stand in one another on more than so many levels."""
    containers = [value] if isinstance(value, dict | list) else []
    for _ in range(levels):
        inside = (inner for one in containers for inner in (one.values() if isinstance(one, dict) else one))
        containers = [inner for inner in inside if isinstance(inner, dict | list)]
    return bool(containers)
