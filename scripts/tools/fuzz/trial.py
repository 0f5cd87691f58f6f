"""One command on one input, in a process of its own with limits: how it ended, and what it cost.

The process is forked from one that has imported what the command needs, so that it costs milliseconds. It calls the
command line's own entry. The kernel ends it where it exceeds the limits.
"""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from surgery import errors
from surgery.cli.main import main

RESULT, OTHER, SIGNAL, ESCAPED = "result", "other exception", "signal", "files elsewhere"
CPU, WALL, MEMORY = "over the CPU time", "over the time", "over the memory"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one command may use.

    Attributes:
        cpu: Seconds of CPU time.
        wall: Seconds.
        memory: Bytes of address space; None where TensorFlow is loaded, which reserves far more than it uses. The
            peak of memory in use is then compared with `resident`.
        resident: Bytes in use.
    """

    cpu: int = 20
    wall: int = 120
    memory: int | None = 2 << 30
    resident: int = 2 << 30


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


def run(arguments: Sequence[str], area: Path, report: Path, limits: Limits) -> Ending:
    """Runs `surgery` with these arguments.

    Args:
        arguments: The words after `surgery`.
        area: The folder in which it works; its TMPDIR is `area/tmp`.
        report: The file that gets what it prints, and the traceback of an exception.
        limits: What it may use.
    """
    said = report.with_suffix(".json")
    said.unlink(missing_ok=True)
    pid = os.fork()
    if pid == 0:
        try:
            _behave(area, report, limits)
            outcome, detail = _outcome(arguments)
            said.write_text(json.dumps((outcome, detail)), encoding="utf-8")
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(0)
    _, status, used = os.wait4(pid, 0)
    _end_the_rest(pid)
    seconds = used.ru_utime + used.ru_stime
    if os.WIFSIGNALED(status):
        number = signal.Signals(os.WTERMSIG(status))
        outcome = {signal.SIGXCPU: CPU, signal.SIGALRM: WALL}.get(number, SIGNAL)
        return Ending(outcome=outcome, detail=number.name, cpu=seconds)
    if not said.exists():
        return Ending(outcome=SIGNAL, detail="ended without a word", cpu=seconds)
    outcome, detail = json.loads(said.read_text(encoding="utf-8"))
    if seconds > limits.cpu:
        return Ending(outcome=CPU, detail=f"{seconds:.0f} s; {detail}", cpu=seconds)
    if used.ru_maxrss * 1024 > limits.resident:
        return Ending(outcome=MEMORY, detail=f"{used.ru_maxrss / 2**20:.1f} GiB; {detail}", cpu=seconds)
    return Ending(outcome=outcome, detail=detail, cpu=seconds)


def _behave(area: Path, report: Path, limits: Limits) -> None:
    """Makes this process the one that runs a command: its own session, folder, output and limits."""
    os.setsid()
    os.chdir(area)
    os.environ["TMPDIR"] = str(area / "tmp")
    tempfile.tempdir = None
    output = os.open(report, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
    faulthandler.enable()
    for number in (signal.SIGXCPU, signal.SIGALRM, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu, limits.cpu + 5))
    if limits.memory is not None:
        resource.setrlimit(resource.RLIMIT_AS, (limits.memory, limits.memory))
    signal.setitimer(signal.ITIMER_REAL, limits.wall)


def _outcome(arguments: Sequence[str]) -> tuple[str, str]:
    """Runs the command; returns its outcome and the detail."""
    try:
        main.main(args=[*arguments], prog_name="surgery")
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


def _end_the_rest(session: int) -> None:
    """Ends what the command has started and left running."""
    try:
        os.killpg(session, signal.SIGKILL)
    except ProcessLookupError:
        return
