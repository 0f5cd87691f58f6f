"""All errors of surgery as one tree. The command line exits with the code of the error's class.

    SurgeryError                 1  (never raised itself)
    ├── InternalError            1  a defect of surgery; what to report stands in the message
    ├── UsageError               2  the request cannot be carried out as asked: an option, a name, a destination
    ├── ModuleError              3  not a module, or a damaged one
    │   └── LimitError           3  larger or deeper than a limit of `surgery.limits` allows
    ├── UnexplainedError         4  a sound module, but no weight table explains it, or evidence is missing
    │   └── ContradictionError   4  two pieces of evidence disagree
    ├── ParityError              5  the export is not the same function as the module; nothing was published
    ├── WriteError               6  the destination, or a scratch folder in TMPDIR, cannot be written
    └── UntrustedError           7  the module could do more than compute, and nobody said to trust it; nothing was run

`surgery diff` exits with 8 if the two modules differ, which is no error.

A signal that stops a command is no error. The command cleans up, says what it has published, and exits with 128 plus
the signal's number: 130 after Ctrl-C (SIGINT), 143 after SIGTERM, 129 after SIGHUP.

A message says what was being done, to which file or variable, what was expected and what was found; `hint` says what
to do next. Arguments are spelled as in Python (`layers='9'`); the command line spells them as options (`--layers 9`).

The public functions raise nothing else, and the command line shows no stack: with the environment variable
`SURGERY_TRACEBACK=1` it does, and in Python the original exception is the error's `__cause__`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from surgery.arguments import spelled
from surgery.wording import shown

DETAILS_SHOWN = 6
"""Lines of `UnexplainedError.details` that a message shows."""


class SurgeryError(Exception):
    """Base of all expected failures.

    Attributes:
        message: What was being done, and what was wrong.
        hint: What to do next, or None.
        exit_code: The code with which the command line exits.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__()
        self._say(message, hint)

    def _say(self, message: str, hint: str | None) -> None:
        self._given = (message, hint)
        self.message, self.hint = self.parts()
        self.args = (self.message,)

    def __str__(self) -> str:
        return self.spelled()

    def rename(self, path: str, name: str) -> None:
        """Writes `name` in the place of `path`, such as an archive's for a scratch folder that will be gone."""
        message, hint = self._given
        self._say(message.replace(path, name), hint and hint.replace(path, name))

    def advise(self, also: str) -> None:
        """Adds to the hint what else can be done."""
        message, hint = self._given
        self._say(message, f"{hint}; {also}" if hint else also)

    def spelled(self, spell: Callable[[str, Any], str] | None = None) -> str:
        """Message and hint. `spell(name, value)` writes an argument, see surgery.arguments; None for Python's way."""
        message, hint = self.parts(spell)
        return f"{message}\n  what to do: {hint}" if hint else message

    def parts(self, spell: Callable[[str, Any], str] | None = None) -> tuple[str, str | None]:
        """Message and hint apart, spelled in the same way."""
        message, hint = self._given
        return shown(spelled(message, spell)), None if hint is None else shown(spelled(hint, spell))


class InternalError(SurgeryError):
    """A defect of surgery: an exception that nothing expected. The message has the version, the exception's type and
    the line from which it came."""


class UsageError(SurgeryError):
    """The request cannot be carried out as asked: an option, a name or a destination is wrong."""

    exit_code = 2


class ModuleError(SurgeryError):
    """The module is missing, damaged, or no module at all."""

    exit_code = 3


class LimitError(ModuleError):
    """The module, or a file of it, is larger or deeper than a limit allows. The error names the limit."""

    def within(self, doing: str) -> LimitError:
        """The same error, whose message begins with what was being done to which file."""
        message, hint = self._given
        return LimitError(f"{doing}: {message}", hint=hint)


class UnexplainedError(SurgeryError):
    """No weight table explains the module, or a hyperparameter has no evidence.

    Attributes:
        details: The reasons, one line each.
    """

    exit_code = 4

    def __init__(self, message: str, *, hint: str | None = None, details: tuple[str, ...] = ()) -> None:
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
    """The destination, or a scratch folder in TMPDIR, cannot be written. The destination is as it was before."""

    exit_code = 6


class UntrustedError(SurgeryError):
    """The module could do more than compute, and is not trusted. Nothing of it was run."""

    exit_code = 7
