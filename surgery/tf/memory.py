"""Returns memory to the system between the heavy steps, so that a conversion never holds three models at once."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing() -> Iterator[None]:
    """Runs imports without garbage collection, and keeps the imported objects out of every later collection.

    TensorFlow's import makes a million objects that live until the process ends. Collecting while it runs costs a
    fifth of its time, and looking through them again takes 0.15 s at each later collection. Only the first import is
    treated so: a later call would also freeze the garbage of earlier jobs, which would then never be freed.
    """
    if "tensorflow" in sys.modules:
        yield
        return
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()


def give_back() -> None:
    """Collects cycles (Keras objects and graphs are full of them) and returns freed heap to the system."""
    gc.collect()
    trim()


def trim() -> None:
    """Returns freed heap to the system.

    After a restore, glibc keeps about two thirds of a model's size in its arenas as free memory; `malloc_trim` returns
    it. Where the C library has no such function, the heap is not trimmed.
    """
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)
