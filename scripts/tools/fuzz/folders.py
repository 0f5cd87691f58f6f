"""Changes of a module's folder: files that are missing, empty, elsewhere, or no files; names of folders."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from random import Random

OUTSIDE = "/etc/hostname"


def change(rng: Random, folder: Path) -> str:
    """Removes or replaces one file of a module."""
    path = rng.choice(sorted(path for path in folder.rglob("*") if path.is_file()))
    where = path.relative_to(folder).as_posix()
    path.unlink()
    how = rng.randrange(8)
    if how == 0:
        return f"{where} removed"
    if how == 1:
        path.touch()
        return f"{where} empty"
    if how == 2:
        path.mkdir()
        return f"{where} is a folder"
    if how == 3:
        path.symlink_to(OUTSIDE)
        return f"{where} is a link to {OUTSIDE}"
    if how == 4:
        path.symlink_to(path.name)
        return f"{where} is a link to itself"
    if how == 5:
        os.mkfifo(path)
        return f"{where} is a pipe"
    if how == 6:
        path.symlink_to("/dev/zero")
        return f"{where} is a link to /dev/zero"
    shutil.rmtree(path.parent)
    path.parent.mkdir()
    return f"{path.parent.name} is an empty folder"
