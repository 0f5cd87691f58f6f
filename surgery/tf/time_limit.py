"""The time limit on a batch: a graph may hold a loop that never ends.

A Session takes the time with each run. A function that is called in eager mode takes a cancellation manager, which a
timer cancels. Both end loops between two steps, and operations that wait. One operation that computes is not ended.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf
from tensorflow.python.eager import cancellation

from surgery import limits
from surgery.errors import LimitError

NAME = "batch_seconds"


def run_options() -> Any:
    """The options of a Session's run that end it in time, by `tf.errors.DeadlineExceededError`."""
    return tf.compat.v1.RunOptions(timeout_in_ms=1000 * limits.limit(NAME))


def exceeded(doing: str) -> LimitError:
    """The error for a run that has not ended in time."""
    return limits.exceeded(NAME, None, doing)


@contextmanager
def time_limit(doing: str) -> Iterator[None]:
    """A block that calls functions in eager mode. Raises LimitError when they have not ended in time."""
    manager = cancellation.CancellationManager()
    timer = threading.Timer(limits.limit(NAME), manager.start_cancel)
    timer.daemon = True
    timer.start()
    try:
        with cancellation.CancellationManagerContext(manager):
            yield
    except tf.errors.CancelledError as error:
        if not manager.is_cancelled:
            raise
        raise exceeded(doing) from error
    finally:
        timer.cancel()
