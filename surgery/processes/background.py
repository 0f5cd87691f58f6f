"""Work that another thread does while this one goes on. TensorFlow and numpy hold no lock of Python's in between.

A block of its own says how long such work may go on, so that no thread outlives what it uses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from typing import TypeVar

T = TypeVar("T")


class Background:
    """A thread that does one piece of work after another."""

    def __init__(self, pool: ThreadPoolExecutor | None) -> None:
        self._pool = pool
        self.left = False

    def start(self, work: Callable[[], T]) -> Future[T]:
        """Starts work when all that was started before is done. The limits of the caller apply to it."""
        if self._pool is not None:
            return self._pool.submit(copy_context().run, work)
        done: Future[T] = Future()
        done.set_result(work())
        return done

    def go_on(self, *_: object) -> None:
        """Raises CancelledError when the block has been left: work calls it between its steps, as a Progress."""
        if self.left:
            raise CancelledError


@contextmanager
def background(name: str, *, at_once: bool = False) -> Iterator[Background]:
    """A thread for the length of the block, whose end waits for the step at work; what comes after that is dropped.

    With `at_once`, work is done when it is started, without a thread: where it is short, threads only cost time.
    """
    pool = None if at_once else ThreadPoolExecutor(1, thread_name_prefix=name)
    thread = Background(pool)
    try:
        yield thread
    finally:
        thread.left = True
        if pool is not None:
            pool.shutdown(cancel_futures=True)
