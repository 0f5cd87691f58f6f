"""Starts Python programs as child processes that never import from the current folder.

`python -m` puts the current folder first on the child's path: a file named `json.py` there would run. `-P` and
PYTHONSAFEPATH prevent that from Python 3.11 on, and `-I` would hide packages that a user has installed for himself.
This file therefore starts the module. It runs as a script, so that Python puts this folder first instead, which it
takes away before it imports anything. What PYTHONPATH and site name stays.

    python surgery/child_process.py MODULE [ARGUMENT ...]
"""

import sys


def python_command(module: str, *arguments: str) -> list[str]:
    """The command line that runs a module as `python -m` would, without the current folder on its path."""
    return [sys.executable, __file__, module, *arguments]


def _main() -> None:
    if not getattr(sys.flags, "safe_path", False):
        del sys.path[0]
    import runpy

    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main()
