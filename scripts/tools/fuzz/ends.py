"""How a command ends: a result, an error of surgery's, or something that must not happen."""

from __future__ import annotations

import os
import pickle
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from surgery import errors
from surgery.cli import main as command_line

RESULT, OTHER, SIGNAL, ESCAPED = "result", "other exception", "signal", "files elsewhere"
CPU, WALL, MEMORY = "over the CPU time", "over the time", "over the memory"


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a command ended.

    Attributes:
        outcome: RESULT, the name of a SurgeryError's class, or one of the other outcomes of this module.
        detail: The exception's class and message, or the signal.
        cpu: Seconds of CPU time.
    """

    outcome: str
    detail: str
    cpu: float

    @property
    def is_expected(self) -> bool:
        """Whether it is a result or a SurgeryError."""
        return self.outcome == RESULT or self.outcome in EXPECTED


def _classes(kind: type[errors.SurgeryError]) -> Iterator[type[errors.SurgeryError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _classes(below)


DEFECT = 1
"""The exit code of what is a defect of surgery's own, and of Python for an exception that nothing handles."""
EXPECTED = tuple(dict.fromkeys(kind.__name__ for kind in _classes(errors.SurgeryError) if kind.exit_code != DEFECT))
BY_CODE = {kind.exit_code: kind.__name__ for kind in reversed([*_classes(errors.SurgeryError)])}


def run(arguments: Sequence[str], note: Path) -> tuple[str, str]:
    """Runs a command in this process; returns its outcome and the detail.

    A command may go on in a child of this process. The child writes its outcome to the file `note` and ends here.
    """
    process = os.getpid()
    found = _outcome(arguments)
    if os.getpid() != process:
        note.write_bytes(pickle.dumps(found))
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0 if found[0] == RESULT else DEFECT)
    return pickle.loads(note.read_bytes()) if note.exists() else found


def _outcome(arguments: Sequence[str]) -> tuple[str, str]:
    """Runs the command; returns its outcome and the detail."""
    try:
        sys.argv = ["surgery", *arguments]
        command_line.command()
    except SystemExit as end:
        if not end.code:
            return RESULT, ""
        found = [error for error in _behind(end) if error is not end]
        return _of_exit(end.code if isinstance(end.code, int) else 1, found)
    except BaseException as error:
        traceback.print_exc()
        return (MEMORY if _ran_out(_behind(error)) else OTHER), _told(error)
    return RESULT, ""


def _of_exit(code: int, found: Sequence[BaseException]) -> tuple[str, str]:
    """The outcome of an exit code, with the exceptions that led to it, the last one first."""
    detail = _told(found[0]) if found else f"exit code {code}"
    if _ran_out(found):
        traceback.print_exception(found[0])
        return MEMORY, detail
    if code != DEFECT and code in BY_CODE:
        raised = found[0] if found else None
        return type(raised).__name__ if isinstance(raised, errors.SurgeryError) else BY_CODE[code], detail
    for error in found[:1]:
        traceback.print_exception(error)
    return OTHER, _told(found[-1]) if found else detail


def _behind(error: BaseException) -> list[BaseException]:
    """An exception and those that led to it."""
    found: list[BaseException] = []
    behind: BaseException | None = error
    while behind is not None and behind not in found:
        found.append(behind)
        behind = behind.__cause__ or behind.__context__
    return found


def _ran_out(found: Sequence[BaseException]) -> bool:
    return any(isinstance(error, MemoryError) for error in found)


def _told(error: BaseException) -> str:
    place = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(place[-1].filename).name}:{place[-1].lineno}" if place else ""
    return f"{type(error).__name__}{where}: {str(error)[:300]}"
