"""Packages that TensorFlow imports where they are installed, and that no command uses.

TensorFlow, Keras and Model Garden try to import pandas (for data frames given to `fit`), the client of Google's cloud
(to find TPUs) and h5py (for weights in HDF5), and go on without them. On Linux they take 70 MB of memory and a sixth of
the time of the import. Only the command line leaves them out: in Python, the process belongs to its caller.
"""

from __future__ import annotations

import sys

OPTIONAL = ("googleapiclient", "h5py", "pandas")
BEAM = frozenset({"extract"})
"""Commands that run Apache Beam, which has uses of its own for these packages."""


def leave_out_optional_packages(command: str) -> None:
    """Makes imports of these packages fail from now on, unless they are imported already or the command needs them."""
    if command not in BEAM:
        for package in OPTIONAL:
            sys.modules.setdefault(package, None)  # type: ignore[arg-type]  # what Python's import statement refuses
