"""Run a command as a fresh process, and measure its cost."""

import dataclasses
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Mapping

from scripts.tools.benchmark.progress import say

QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_USE_LEGACY_KERAS": "1"}
UNWANTED = ("PYTHONDONTWRITEBYTECODE",)
"""Without byte code, each process would compile this package anew. An installed package has its byte code."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cost:
    """The cost of one process, from its start to its end.

    Attributes:
        wall: Seconds on the clock.
        cpu: Seconds of user and system time, of all its threads.
        peak: Largest resident memory, in MiB. If it started other processes, that of the largest process.
        output: Its standard output.
    """

    wall: float
    cpu: float
    peak: float
    output: str


def run(command: list[str], folder: pathlib.Path, cores: Collection[int] | None = None) -> Cost:
    """Run a command in a folder, on the named cores or on all, and wait for it.

    Raises SystemExit with the end of the command's output when it fails.
    """
    os.sync()  # otherwise, flushing the pages of an earlier process would count as this one's time
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=_environment(), stdout=out, stderr=err)
        if cores is not None:  # long before the process imports a library that counts them
            os.sched_setaffinity(process.pid, cores)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        output = out.read().decode(errors="replace")
        if process.returncode != 0:
            err.seek(0)
            tail = (output + err.read().decode(errors="replace"))[-3000:]
            raise SystemExit(f"{' '.join(command)}\nended with exit code {process.returncode}:\n{tail}")
    peak_unit = 1 if sys.platform == "darwin" else 1024
    return Cost(wall=wall, cpu=usage.ru_utime + usage.ru_stime, peak=usage.ru_maxrss * peak_unit / 2**20, output=output)


def _environment() -> dict[str, str]:
    return {name: value for name, value in {**os.environ, **QUIET}.items() if name not in UNWANTED}


def by_turns(sides: Mapping[str, Callable[[], Cost]], repeats: int) -> dict[str, list[Cost]]:
    """Run every side once, then every side again: A B A B, so that a slow minute affects all of them."""
    costs: dict[str, list[Cost]] = {name: [] for name in sides}
    for turn in range(1, repeats + 1):
        for name, side in sides.items():
            cost = side()
            costs[name].append(cost)
            say(f"{turn}/{repeats} {name}: {cost.wall:.2f} s, {cost.cpu:.2f} s CPU, {cost.peak:.0f} MiB")
    return costs
