"""SIGINT (Ctrl-C), SIGTERM and SIGHUP: raised as exceptions, so that a run cleans up, or held back.

Python raises KeyboardInterrupt for SIGINT by itself. The other two would end the process at once, without a clean-up.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGHUP)
"""Signals that ask a process to end, beside SIGINT."""


class Stopped(BaseException):
    """A signal has asked the process to end. No `except Exception` catches it, as with KeyboardInterrupt.

    Attributes:
        number: The signal.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(f"stopped by {signal.Signals(number).name}")


@contextmanager
def raised_as_exceptions() -> Iterator[None]:
    """Raises Stopped in the main thread for each of ENDING, until the block ends.

    A signal that is ignored (as under nohup) or has a handler keeps it. Outside the main thread nothing changes:
    Python does not allow it.
    """
    changed = [number for number in ENDING if _in_main_thread() and signal.getsignal(number) == signal.SIG_DFL]
    for number in changed:
        signal.signal(number, _raise)
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def held_back() -> Iterator[None]:
    """Lets the block finish before SIGINT or one of ENDING takes effect. In other threads than the main one, no signal
    raises anything, so nothing is held back."""
    received: list[int] = []

    def keep(number: int, frame: FrameType | None) -> None:
        received.append(number)

    numbers = (signal.SIGINT, *ENDING) if _in_main_thread() else ()
    handlers = {number: handler for number in numbers if (handler := signal.getsignal(number)) is not None}
    try:
        for number in handlers:
            signal.signal(number, keep)
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for held in dict.fromkeys(received):
            signal.raise_signal(held)


@contextmanager
def before_signals(action: Callable[[], object]) -> Iterator[None]:
    """Calls `action` when SIGINT or one of ENDING arrives in the block, before the signal takes effect.

    A signal that is ignored, or that ends the process without a handler of Python's, does not call it.
    """
    numbers: tuple[int, ...] = (signal.SIGINT, *ENDING) if _in_main_thread() else ()
    handlers = {number: handler for number in numbers if callable(handler := signal.getsignal(number))}

    def first(number: int, frame: FrameType | None) -> None:
        action()
        handlers[number](number, frame)

    try:
        for number in handlers:
            signal.signal(number, first)
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _raise(number: int, frame: FrameType | None) -> None:
    raise Stopped(number)
