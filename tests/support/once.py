"""What is made once in a run of the tests, though several workers ask for it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from typing import TypeVar

import pytest

T = TypeVar("T")


class SharedFolder:
    """A folder of all workers of a run, in which the first one to ask for something makes it."""

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        own = factory.getbasetemp()
        self.path = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "of_all_workers"
        self.path.mkdir(exist_ok=True)

    def once(self, name: str, make: Callable[[], bytes], read: Callable[[bytes], T]) -> T:
        """What `read` makes of the bytes that `make` returned, in this worker or in another one.

        A worker that asks while another one is still at it waits. What fails in one is tried again by the next.
        """
        record = self.path / f"{name}.made"
        with open(self.path / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not record.exists():
                record.write_bytes(make())
        return read(record.read_bytes())
