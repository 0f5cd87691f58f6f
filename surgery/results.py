"""How results look at a prompt: a few lines that name what they hold, their JSON, and the tables of the command line.

`Brief` is the repr of every value that a public function returns, or that such a value leads to. It is made from the
class's own attributes: each with its value where that is short, else with its type, its name or its size. `Result` adds
what the command line prints. The report of a class stands in a layer above (surgery.reports) and is found by its name
when it is asked for, so that a result that nobody prints imports no report.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from importlib import import_module
from os import PathLike
from typing import Any, ClassVar

LONGEST = 60
"""Characters of a value in a repr."""
WIDTH = 100
REPORTS = "surgery.reports"


class Brief:
    """A value whose repr fits a few lines: its attributes in brief, then the methods that lead on."""

    def __repr__(self) -> str:
        import textwrap

        held = ", ".join(f"{name}={in_brief(value)}" for name, value in self._held())
        methods = " ".join(f".{name}()" for name in _methods(type(self)))
        lines = [f"{type(self).__name__}({held})", *([f"see also {methods}"] if methods else [])]
        return "\n".join(
            textwrap.fill(line, WIDTH, subsequent_indent="    ", break_on_hyphens=False, break_long_words=False)
            for line in lines
        )

    def _held(self) -> Iterator[tuple[str, Any]]:
        """The attributes. One that this value does not have is left out, such as a checkpoint's graph."""
        for name in _attributes(type(self)):
            with suppress(LookupError):
                yield name, getattr(self, name)


class Result(Brief):
    """What a public function returns: `to_dict()` is the JSON of the command line, a notebook shows its tables.

    A subclass names its report: `class Plan(Result, report="plan")`.
    """

    report_name: ClassVar[str]

    def __init_subclass__(cls, *, report: str, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.report_name = report

    def to_dict(self) -> dict[str, Any]:
        """The facts that the command line prints with `--json`, as plain dicts, lists, texts and numbers."""
        return document(self)

    def _repr_html_(self) -> str:
        notebook = import_module(f"{REPORTS}.notebook")
        html: str = notebook.as_html(report_of(self).text, self.to_dict())
        return html


def report_of(result: Result) -> Any:
    """The module of surgery.reports that prints a result: `data` is its JSON without the schema, `text` its tables."""
    return import_module(f"{REPORTS}.{result.report_name}")


def document(result: Result, **options: Any) -> dict[str, Any]:
    """The JSON document of a result, with the options of its report."""
    report = report_of(result)
    return {"schema": report.SCHEMA, **report.data(result, **options)}


def in_brief(value: Any) -> str:
    """A value on a part of a line: itself if it is short, else what it is and how much of it there is."""
    if isinstance(value, PathLike):
        value = str(value)
    if isinstance(value, str):
        return repr(value if len(value) <= LONGEST else f"{value[: LONGEST - 1]}…")
    if isinstance(value, Mapping):
        items = [f"{in_brief(key)}: {in_brief(item)}" for key, item in value.items()] if len(value) < LONGEST else []
        return _whole_or_counted(items, "{}", value, "entries")
    if isinstance(value, tuple | list | set | frozenset):
        items = [in_brief(item) for item in value] if len(value) < LONGEST else []
        brackets = "()" if isinstance(value, tuple) else "[]" if isinstance(value, list) else "{}"
        return _whole_or_counted(items, brackets, value, "items")
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    named = getattr(value, "family", value)
    name = named if isinstance(named, str) else getattr(named, "name", None)
    if isinstance(name, str):
        return f"<{type(value).__name__} {in_brief(name)}>"
    size = f" {value.dtype} {list(value.shape)}" if hasattr(value, "dtype") and hasattr(value, "shape") else ""
    return f"<{type(value).__name__}{size}>"


def _whole_or_counted(items: list[str], brackets: str, value: Collection[Any], noun: str) -> str:
    comma = "," if brackets == "()" and len(items) == 1 else ""  # without it, ('serve') would be a text
    whole = brackets[0] + ", ".join(items) + comma + brackets[1]
    if len(items) == len(value) and len(whole) <= LONGEST:
        return whole
    kinds = {type(item).__name__ for item in (() if isinstance(value, Mapping) else value)}
    return f"<{len(value)} {kinds.pop() if len(kinds) == 1 else noun}>"


def _attributes(cls: type) -> list[str]:
    """The names of a class's fields, then of its public properties."""
    held = [field.name for field in fields(cls) if field.repr] if is_dataclass(cls) else []
    found = [name for name, item in _members(cls) if isinstance(item, property)]
    return [name for name in (*held, *found) if not name.startswith("_")]


def _methods(cls: type) -> list[str]:
    """The names of a class's public methods, its own first."""
    held = {field.name for field in fields(cls)} if is_dataclass(cls) else set()
    found = (name for name, item in _members(cls) if callable(item) and not isinstance(item, type | classmethod))
    return [name for name in found if name not in held]


def _members(cls: type) -> list[tuple[str, Any]]:
    own = [kind for kind in cls.__mro__ if issubclass(kind, Brief) and kind is not Brief]
    found = {name: item for kind in reversed(own) for name, item in vars(kind).items() if not name.startswith("_")}
    return sorted(found.items(), key=lambda pair: pair[0] == "to_dict")
