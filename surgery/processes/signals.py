"""SIGINT (Ctrl-C), SIGTERM and SIGHUP: raised as exceptions, so that a run cleans up, or held back.

Python raises KeyboardInterrupt for SIGINT by itself. The other two would end the process at once, without a clean-up.
An exception that is raised while native code calls Python may come out of that code as another one, or not at all. What
has been raised is therefore remembered.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

ENDING = (signal.SIGTERM, signal.SIGHUP)
"""Signals that ask a process to end, beside SIGINT."""
STOPPING = (signal.SIGINT, *ENDING)
Handlers = Mapping[int, Any]
"""What signals do, as `signal.signal` takes it."""
_RAISED: list[int] = []
"""The signals that were raised in the blocks of `raised_as_exceptions` that have not ended, in their order."""


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
    """Raises Stopped in the main thread for each of STOPPING, until the block ends.

    A signal that is ignored (as under nohup) or has a handler of somebody's keeps it. Outside the main thread nothing
    changes: Python does not allow it.
    """
    before = len(_RAISED)
    own = (signal.SIG_DFL, signal.default_int_handler)
    try:
        with _handled({number: _raise for number, handler in _handlers().items() if handler in own}):
            yield
    finally:
        del _RAISED[before:]


def raise_again() -> None:
    """Raises Stopped if a signal was raised in this block of `raised_as_exceptions`, whatever became of it since."""
    if _RAISED:
        raise Stopped(_RAISED[-1])


@contextmanager
def held_back() -> Iterator[None]:
    """Lets the block finish before SIGINT or one of ENDING takes effect. In other threads than the main one, no signal
    raises anything, so nothing is held back."""
    received: list[int] = []

    def keep(number: int, frame: FrameType | None) -> None:
        received.append(number)

    try:
        with _handled(dict.fromkeys(_handlers(), keep)):
            yield
    finally:
        for held in dict.fromkeys(received):
            signal.raise_signal(held)


@contextmanager
def before_signals(action: Callable[[], object]) -> Iterator[None]:
    """Calls `action` when SIGINT or one of ENDING arrives in the block, before the signal takes effect.

    A signal that is ignored, or that ends the process without a handler of Python's, does not call it.
    """
    handlers = {number: handler for number, handler in _handlers().items() if callable(handler)}

    def first(number: int, frame: FrameType | None) -> None:
        action()
        handlers[number](number, frame)

    with _handled(dict.fromkeys(handlers, first)):
        yield


@contextmanager
def _handled(handlers: Handlers) -> Iterator[None]:
    """Signals have these handlers until the block ends, and then those that they had before."""
    before = {number: signal.getsignal(number) for number in handlers}
    try:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _handlers() -> Handlers:
    """The handlers of STOPPING, of those that Python knows; none outside the main thread, which cannot change them."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {number: handler for number in STOPPING if (handler := signal.getsignal(number)) is not None}


def _raise(number: int, frame: FrameType | None) -> None:
    _RAISED.append(number)
    raise Stopped(number)
