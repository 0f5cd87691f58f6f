"""Files of a module are regular files: whoever opens a pipe waits for ever, and a device may never end."""

from __future__ import annotations

from pathlib import Path

from surgery.errors import ModuleError


def check_regular(path: Path) -> None:
    """Raises ModuleError for a folder, a pipe or a device, links followed. A missing file is left to its reader."""
    if path.exists() and not path.is_file():
        raise ModuleError(
            f"reading {path}: it is a folder, a pipe or a device, expected a file",
            hint="the module is damaged, or made to do harm: fetch it again",
        )
