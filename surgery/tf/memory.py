"""Gives memory back between the heavy steps, so that a conversion never holds three models at once."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing() -> Iterator[None]:
    """Imports without garbage collection, and keeps what they leave out of every later one.

    TensorFlow's import makes a million objects that live until the process ends. Collecting while it runs costs a
    fifth of its time, and looking through them again takes 0.15 s at each later collection. Only the first import is
    treated so: whatever a later call found alive, the garbage of an earlier job included, would never be freed.
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
    """Collects cycles (Keras objects and graphs are full of them) and returns freed heap to the system.

    After a restore, glibc keeps about two thirds of a model's size in its arenas as free memory; `malloc_trim` hands
    it back. Where the C library has no such function, collecting is all that happens.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
