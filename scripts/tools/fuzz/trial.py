"""Commands on inputs, in processes with limits: how each ended, and what it cost.

A process is forked from one that has imported what the commands need, and calls the command line's own entry for one
step after another. The kernel ends it where a step exceeds the limits; another process goes on with the next step.
"""

from __future__ import annotations

import faulthandler
import os
import pickle
import resource
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.tools.fuzz import ends
from scripts.tools.fuzz.ends import CPU, ESCAPED, MEMORY, SIGNAL, WALL, Ending


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one command may use.

    Attributes:
        cpu: Seconds of CPU time.
        wall: Seconds.
        at_once: The steps that one process takes.
        memory: Bytes of address space; None where TensorFlow is loaded, which reserves far more than it uses. The
            peak of memory in use is then compared with `resident`.
        resident: Bytes in use.
    """

    cpu: int = 20
    wall: int = 60
    at_once: int = 100
    memory: int | None = 2 << 30
    resident: int = 2 << 30


@dataclass(frozen=True, kw_only=True)
class Step:
    """One command on one input.

    Attributes:
        arguments: The words after `surgery`.
        area: The folder in which it works, and beside which it must write nothing. It makes folders for TMPDIR there.
        report: The file that gets what it prints, and the traceback of an exception.
    """

    arguments: Sequence[str]
    area: Path
    report: Path


def run(steps: Sequence[Step], limits: Limits) -> list[Ending]:
    """Takes the steps one after the other; returns how each ended."""
    endings: list[Ending] = []
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder) / "endings"
        while len(endings) < len(steps):
            said.write_bytes(b"")
            some = steps[len(endings) :][: limits.at_once]
            pid = os.fork()
            if pid == 0:
                _take(some, limits, said)
            _, status, used = os.wait4(pid, 0)
            _end_the_rest(pid)
            found = list(_read(said))
            if len(found) < len(some):
                seconds = used.ru_utime + used.ru_stime - sum(ending.cpu for ending in found)
                found.append(_of_status(status, seconds))
            endings += found
    return endings


def _take(steps: Sequence[Step], limits: Limits, said: Path) -> None:
    """Takes steps in this process, notes how each ends, and ends the process."""
    try:
        _prepare(limits)
        for step in steps:
            ending = _ending(step, limits)
            with said.open("ab") as file:
                pickle.dump(ending, file)
    finally:
        os._exit(0)


def _read(said: Path) -> Iterator[Ending]:
    """The endings that a process has noted."""
    with said.open("rb") as file:
        while True:
            try:
                yield pickle.load(file)
            except EOFError:
                return


def _of_status(status: int, seconds: float) -> Ending:
    """The ending of a step in which the process ended."""
    if not os.WIFSIGNALED(status):
        return Ending(outcome=SIGNAL, detail="the process ended without a word", cpu=seconds)
    number = signal.Signals(os.WTERMSIG(status))
    outcome = {signal.SIGXCPU: CPU, signal.SIGALRM: WALL}.get(number, SIGNAL)
    return Ending(outcome=outcome, detail=number.name, cpu=seconds)


def _prepare(limits: Limits) -> None:
    """Makes this process one that takes steps: its own session, limits, and signals as a new process has them."""
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number in (signal.SIGXCPU, signal.SIGALRM, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if limits.memory is not None:
        resource.setrlimit(resource.RLIMIT_AS, (limits.memory, limits.memory))


def _ending(step: Step, limits: Limits) -> Ending:
    """Takes one step in this process."""
    scratch = Path(tempfile.mkdtemp(prefix="tmp-", dir=step.area))
    os.environ["TMPDIR"] = tempfile.tempdir = str(scratch)
    os.chdir(scratch)
    output = os.open(step.report, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    os.close(output)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
    faulthandler.enable()
    before, files = _seconds(), {path.name for path in step.area.iterdir()}
    most = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (int(before) + limits.cpu + 1, most))
    signal.setitimer(signal.ITIMER_REAL, limits.wall)
    outcome, detail = ends.run(step.arguments, step.report.with_suffix(".outcome"))
    signal.setitimer(signal.ITIMER_REAL, 0)
    seconds = _seconds() - before
    sys.stdout.flush()
    sys.stderr.flush()
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) * 1024
    if seconds > limits.cpu:
        outcome, detail = CPU, f"{seconds:.0f} s; {detail}"
    elif limits.memory is None and peak > limits.resident:
        outcome, detail = MEMORY, f"{peak / 2**30:.1f} GiB; {detail}"
    elif others := {path.name for path in step.area.iterdir()} - files:
        outcome, detail = ESCAPED, ", ".join(sorted(others))
    return Ending(outcome=outcome, detail=detail, cpu=seconds)


def _seconds() -> float:
    """The CPU time of this process and of those that it has started."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def _end_the_rest(session: int) -> None:
    """Ends what the command has started and left running."""
    try:
        os.killpg(session, signal.SIGKILL)
    except ProcessLookupError:
        return
