"""The end of a command that a signal stops: everything is cleaned up, the message says what had been published."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from surgery.cli.failing import tell_failure
from surgery.export.published import PUBLISHED
from surgery.processes.signals import Stopped, raised_as_exceptions


@contextmanager
def stoppable() -> Iterator[None]:
    """Exits with 128 plus the signal's number, as shells count, when SIGINT, SIGTERM or SIGHUP ends the block."""
    published_before = len(PUBLISHED)
    try:
        with raised_as_exceptions():
            yield
        return
    except KeyboardInterrupt:
        number = int(signal.SIGINT)
    except Stopped as stopped:
        number = stopped.number
    published = [str(path) for path in PUBLISHED[published_before:]]
    exit_stopped(number, f"before that, it published {', '.join(published)}" if published else "nothing was published")


def exit_stopped(number: int, state: str) -> NoReturn:
    """Says which signal has ended the command, and in which state it has left the destination; then exits."""
    name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
    code = 128 + number
    tell_failure(f"stopped by {name}: {state}", code=code, kind="Stopped")
    sys.exit(code)
