"""Loaded into the workers of a cluster (`dask worker --preload`): where two workers meet.

One stops for good in the middle of its second shard, after it has said so. The other one writes its first shard only
then, so that the first one has something to lose. The scheduler may have given all other shards to the one that waits:
if no second shard comes, the first one says so with its first shard alone.
"""

import os
import threading
import time
from pathlib import Path

from surgery.beam.shards import ShardWriter

REACHED = Path(os.environ["GATE_REACHED"])
PATIENCE = 10
"""Seconds in which a second shard comes, if it does."""


def stop(self):
    """Closes the first shard; of the second, writes rows without the end of the file, and stays there."""
    if not closed:
        closed.append(self)
        timer = threading.Timer(PATIENCE, REACHED.touch)
        timer.daemon = True
        timer.start()
        return close(self)
    REACHED.touch()
    threading.Event().wait()


def wait(self):
    """Waits for the other worker before rows are written."""
    while not REACHED.exists():
        time.sleep(0.02)
    flush(self)


def dask_setup(worker):
    """Called by Dask once, which imports this file twice."""
    if os.environ["GATE_ROLE"] == "stops":
        ShardWriter._close = stop
    else:
        ShardWriter._flush = wait


closed = []
flush, close = ShardWriter._flush, ShardWriter._close
