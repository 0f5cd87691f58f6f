"""How commands that prove something start TensorFlow: with less of what it would take along, and less memory kept.

It is for the command line only: in Python, the process belongs to its caller.
"""

from __future__ import annotations

import os
import sys

OPTIONAL = ("googleapiclient", "h5py", "pandas")
"""Packages that TensorFlow and Keras import where they are installed, and do without where they are not: for data
frames given to `fit`, for TPUs in Google's cloud, and for weights in HDF5. No command uses them. On Linux they take
80 MB of memory, and a sixth of the time of the import."""
SYSTEM_ALLOCATOR = "TF_ONEDNN_USE_SYSTEM_ALLOCATOR"
"""With oneDNN, TensorFlow keeps freed memory in a pool of its own unless this variable is set: models that were freed
stay, in pieces too small for the next one. The pool saves time where one model is run again and again."""
M_ARENA_MAX = -8
"""mallopt(3): the most heaps that glibc makes. With one heap for each thread, as it would, what one thread has freed is
of no use to another: a conversion takes a tenth more memory."""
AT_FULL_SPEED = frozenset({"extract"})
"""Commands that run one model for long, or use these packages: Apache Beam does."""


def prepare_tensorflow(command: str) -> None:
    """Sets what TensorFlow will find when a command imports it. A variable that the user has set stays."""
    if command in AT_FULL_SPEED:
        return
    import ctypes  # only a command that runs a module needs it

    os.environ.setdefault(SYSTEM_ALLOCATOR, "1")
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:  # only glibc has heaps to count; elsewhere this does nothing
        mallopt(M_ARENA_MAX, 1)
    for package in OPTIONAL:
        sys.modules.setdefault(package, None)  # type: ignore[arg-type]  # what Python's import statement refuses
