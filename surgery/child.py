"""A Python program as a child process that ends when its parent ends, and never imports from the current folder.

    python surgery/child.py PARENT [--while FILE] -m MODULE [ARGUMENT ...]
    python surgery/child.py PARENT [--while FILE] PROGRAM [ARGUMENT ...]

`python -m` would put the current folder first on the child's path: a file named `json.py` there would run. `-P` and
PYTHONSAFEPATH prevent that from Python 3.11 on, and `-I` would hide packages that a user has installed for himself.
This file is run as a script instead: Python then puts the folder of this file first, which is taken away again.
What PYTHONPATH and site name stays. Scripts that people start give `-` for PARENT: they outlive their shell.

The command line has the number of the parent, and the child compares it with its own parent again and again. A child
therefore also ends if its parent was killed before the child ran its first line, which PR_SET_PDEATHSIG of Linux alone
would miss. With a file, it also ends when the file is gone. It works alike on Linux and macOS. This file imports only
the standard library, so any Python can run it.
"""

from __future__ import annotations

import os
import runpy
import sys
import threading
import time
from pathlib import Path

EVERY = 0.5
"""Seconds between two looks at the parent."""
ORPHANED = 1
"""The exit code of a child whose parent has ended."""


def command(*arguments: str, python: str = sys.executable) -> list[str]:
    """The command line of a child of this process: `-m` and a module, or the path of a program; then its arguments."""
    return [python, str(Path(__file__).resolve()), str(os.getpid()), *arguments]


def end_with_parent(parent: int, file: str | None = None) -> None:
    """Ends this process as soon as `parent` is not its parent or `file` does not exist, which may be at once."""

    def wanted() -> bool:
        return os.getppid() == parent and (file is None or os.path.exists(file))

    def watch() -> None:
        while wanted():
            time.sleep(EVERY)
        os._exit(ORPHANED)

    if not wanted():
        os._exit(ORPHANED)
    threading.Thread(target=watch, name="end with parent", daemon=True).start()


def main() -> None:
    """Runs what the command line names, as Python itself would."""
    parent, *arguments = sys.argv[1:]
    file = None
    if arguments[0] == "--while":
        file, arguments = arguments[1], arguments[2:]
    if parent != "-":
        end_with_parent(int(parent), file)
    if sys.path and Path(sys.path[0]).resolve() == Path(__file__).resolve().parent:
        del sys.path[0]  # Python has put the folder of this file there
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    main()
