"""The command line in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

from surgery.cli.options import as_option
from surgery.cli.plan import plan
from surgery.errors import SurgeryError

ROOT = Path(__file__).parents[2]


def environment(**variables: str) -> dict[str, str]:
    """The environment with the checkout on Python's path, no width of its own, and these variables."""
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "FORCE_COLOR")}
    return kept | {"PYTHONPATH": str(ROOT), **variables}


def surgery(*arguments: object, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs `surgery` with these arguments and environment variables."""
    command = [sys.executable, "-m", "surgery", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=cwd, env=environment(**variables), check=False, timeout=300
    )


def on_the_command_line(error: SurgeryError) -> SurgeryError:
    """An error as `surgery plan` spells it: with options in the place of arguments."""
    message, _, hint = error.spelled(partial(as_option, plan)).partition("\n  what to do: ")
    return type(error)(message, hint=hint or None)
