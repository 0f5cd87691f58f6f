"""One conversion in a process of its own, with its own folder for temporary files, which a signal ends."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

WITHIN = 300.0
"""Seconds within which a conversion ends, also one that SIGTERM or SIGINT asked to end."""
ORPHANS_WITHIN = 10.0
"""Seconds within which the processes that a killed one has started end as well."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a process ended.

    Attributes:
        code: Its exit code, or minus the signal that ended it.
        seconds: How long it ran.
        said: What it printed.
        orphans: True if processes that it had started did not end with it.
    """

    code: int
    seconds: float
    said: str
    orphans: bool = False


def load() -> None:
    """Imports all that a conversion imports, which takes 5 s. The processes of `run` are copies of this one."""
    import surgery.tf

    for module in iter_modules(surgery.tf.__path__, "surgery.tf."):
        if module.name.rpartition(".")[2] not in ("resolve", "warmup"):  # a program; an extra
            import_module(module.name)


def run(arguments: Sequence[str], folder: Path, number: int | None = None, after: float = 0.0) -> Ended:
    """Runs `surgery` in a folder, with `folder`/tmp for temporary files. After `after` seconds it gets a signal."""
    log = folder / "said.txt"
    started = time.monotonic()
    pid = os.fork()
    if pid == 0:
        _become(arguments, folder, log)
    if number is not None:
        _wait(pid, started + after)
        if _running(pid):
            os.kill(pid, number)
    if not _wait(pid, time.monotonic() + WITHIN):
        os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    alone = time.monotonic() + ORPHANS_WITHIN
    while (orphans := _group_exists(pid)) and time.monotonic() < alone:
        time.sleep(0.002)
    return Ended(
        orphans=orphans,
        code=os.waitstatus_to_exitcode(status),
        seconds=time.monotonic() - started,
        said=log.read_text(encoding="utf-8", errors="replace"),
    )


def _become(arguments: Sequence[str], folder: Path, log: Path) -> None:
    """Turns this copy into the command. Never returns."""
    code = 70
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.chdir(folder)
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder / "tmp")
        os.setsid()
        sys.argv = ["surgery", *arguments]
        from surgery.cli.main import command

        command()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
        atexit._run_exitfuncs()  # as at the end of a process that is no copy
    except KeyboardInterrupt:
        code = 128 + signal.SIGINT
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def _group_exists(pid: int) -> bool:
    """Whether any process is left of a session that a process has begun."""
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _running(pid: int) -> bool:
    """Whether a child still runs. It stays a zombie, for `waitpid`."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def _wait(pid: int, until: float) -> bool:
    """Waits for the end of a child, at most until a time. Returns whether it has ended."""
    while _running(pid):
        if time.monotonic() >= until:
            return False
        time.sleep(0.002)
    return True
