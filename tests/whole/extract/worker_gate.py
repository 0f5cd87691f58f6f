"""Loaded into the workers of a cluster (`dask worker --preload`): where two workers meet.

The first worker that has rows to write stops for good in the middle of its second shard, after it has said so. The
other one writes its first shard only then, so that the first one has something to lose. Which of the two is the first
is for the scheduler to choose: it may give all shards to one of them. If no second shard comes, the first one says so
with its first shard alone.
"""

import os
import threading
import time
from pathlib import Path

from surgery.beam.shards import ShardWriter

REACHED, STOPS = Path(os.environ["GATE_REACHED"]), Path(os.environ["GATE_STOPS"])
PATIENCE = 10
"""Seconds in which a second shard comes, if it does."""


def write_rows(self):
    """Makes this worker the one that stops, if there is none yet; else waits for that one before rows are written."""
    if not role:
        try:
            with STOPS.open("x") as file:
                file.write(str(os.getpid()))
            role.append("stops")
        except FileExistsError:
            role.append("waits")
    while role == ["waits"] and not REACHED.exists():
        time.sleep(0.02)
    flush(self)


def end_shard(self):
    """Closes a shard. The second one of the worker that stops stays open, with rows and without the end of the file."""
    if role != ["stops"]:
        return close(self)
    if not closed:
        closed.append(self)
        timer = threading.Timer(PATIENCE, REACHED.touch)
        timer.daemon = True
        timer.start()
        return close(self)
    REACHED.touch()
    threading.Event().wait()


def dask_setup(worker):
    """Called by Dask once, which imports this file twice."""
    ShardWriter._close, ShardWriter._flush = end_shard, write_rows


role, closed = [], []
flush, close = ShardWriter._flush, ShardWriter._close
