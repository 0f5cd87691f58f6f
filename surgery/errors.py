"""Every way in which surgery can refuse, as one tree; the command line exits with the class's code.

    SurgeryError                 1  (never raised itself)
    ├── UsageError               2  the request cannot be carried out as asked: an option, a name, a destination
    ├── ModuleError              3  not a module, or a damaged one
    ├── UnexplainedError         4  a sound module, but no weight table explains it, or evidence is missing
    │   └── ContradictionError   4  two pieces of evidence disagree
    ├── ParityError              5  the export is not the same function as the module; nothing was published
    └── WriteError               6  the destination cannot be written

A message says what was being done, on which file or variable, what was expected and what was found; `hint` says
what to do next.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Any, TypeVar

DETAILS_SHOWN = 6
_Error = TypeVar("_Error", bound="SurgeryError")


@dataclass(frozen=True)
class Argument:
    """An argument that an error names: `taps="query@9"` in Python, `--tap query@9` on the command line.

    `name`: the name of the parameter, in Python.
    `value`: what was given for it; None where the error is about the argument itself: `taps=` and `--tap`.
    """

    name: str
    value: Any = None

    def __str__(self) -> str:
        if self.value is None:
            return f"{self.name}="
        plain = isinstance(self.value, str) and not set(self.value) & set('"\\\n')
        return f'{self.name}="{self.value}"' if plain else f"{self.name}={self.value!r}"


Text = str | tuple[str | Argument, ...]
"""A sentence of an error: a string, or pieces of which some are arguments, whose spelling the reader's side decides."""


class SurgeryError(Exception):
    """Base of all expected failures.

    `message`: what went wrong, for people; arguments are spelled as in Python.
    `hint`: the next step, or None.
    `exit_code`: what the command line exits with.
    """

    exit_code = 1

    def __init__(self, message: Text, *, hint: Text | None = None) -> None:
        super().__init__(_spelled(message, str))
        self._message, self._hint = message, hint
        self.message = _spelled(message, str)
        self.hint = None if hint is None else _spelled(hint, str)

    def spelled(self: _Error, spell: Callable[[Argument], str]) -> _Error:
        """The same error, its arguments spelled another way."""
        other = copy(self)
        other.message = _spelled(self._message, spell)
        other.hint = None if self._hint is None else _spelled(self._hint, spell)
        return other

    def __str__(self) -> str:
        return f"{self.message}\n  what to do: {self.hint}" if self.hint else self.message


class UsageError(SurgeryError):
    """The request itself is at fault."""

    exit_code = 2


class ModuleError(SurgeryError):
    """The source is missing, damaged, or no module at all."""

    exit_code = 3


class UnexplainedError(SurgeryError):
    """No weight table explains the module, or a hyperparameter has no evidence. `details` holds a reason a line."""

    exit_code = 4

    def __init__(self, message: str, *, hint: Text | None = None, details: tuple[str, ...] = ()) -> None:
        shown = details[:DETAILS_SHOWN]
        rest = f"\n  … and {len(details) - len(shown)} more" if len(details) > len(shown) else ""
        super().__init__(message + "".join(f"\n  {line}" for line in shown) + rest, hint=hint)
        self.details = details


class ContradictionError(UnexplainedError):
    """Two pieces of evidence for one fact disagree."""


class ParityError(SurgeryError):
    """The export does not compute what the module computes."""

    exit_code = 5


class WriteError(SurgeryError):
    """The destination cannot be written; what stood there before still does."""

    exit_code = 6


def _spelled(text: Text, spell: Callable[[Argument], str]) -> str:
    pieces = (text,) if isinstance(text, str) else text
    return "".join(piece if isinstance(piece, str) else spell(piece) for piece in pieces)
