"""Staging beside the destination and publishing in one rename: a crash leaves the old state or the new one."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from surgery.errors import UsageError, WriteError

EXCHANGE = 2
"""RENAME_EXCHANGE of Linux's renameat2(2): swaps two paths atomically."""
AT_FDCWD = -100


def choose_destination(destination: Path | None, module_name: str, *, overwrite: bool) -> Path:
    """The folder to publish: the one asked for, or `exported/<module name>/<next integer version>`.

    Raises UsageError when it exists and may not be overwritten, before anything slow happens.
    """
    if destination is None:
        parent = Path("exported") / module_name
        versions = [int(p.name) for p in parent.iterdir() if p.name.isdigit()] if parent.is_dir() else []
        return parent / str(max(versions, default=0) + 1)
    if destination.exists() and not overwrite:
        raise UsageError(
            f"writing to {destination}: it exists already", hint="choose another destination, or give --overwrite"
        )
    if destination.exists() and not (destination / "saved_model.pb").is_file() and not _is_empty(destination):
        raise UsageError(
            f"overwriting {destination}: it is no SavedModel, so --overwrite will not remove it",
            hint="choose another destination, or remove it yourself",
        )
    return destination


@contextmanager
def staging(destination: Path, *, keep_failed: bool = False) -> Iterator[Path]:
    """A folder beside the destination to write into; gone when the block fails, unless it is to be kept.

    Raises WriteError when the folder cannot be made.
    """
    name = f".{destination.name}.staging-"
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(destination.parent, name)
        folder = destination.parent / f"{name}{os.getpid()}"
        folder.mkdir()
    except OSError as error:
        raise _write_error(f"making a staging folder in {destination.parent}", error) from error
    try:
        yield folder
    except BaseException:
        if not keep_failed:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


def publish(staged: Path, destination: Path, *, overwrite: bool) -> None:
    """Moves a finished export into place in one step; with `overwrite`, what stood there is removed afterwards.

    Raises WriteError when the destination has appeared meanwhile, or the disk refuses.
    """
    try:
        _sync(staged)
        if overwrite and destination.exists():
            _exchange(staged, destination)
            shutil.rmtree(staged, ignore_errors=True)
        else:
            os.rename(staged, destination)
    except OSError as error:
        raise _write_error(f"publishing {destination}", error) from error


def _exchange(staged: Path, destination: Path) -> None:
    """Swaps the two folders atomically; where the system cannot, with two renames."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is not None:
        done = renameat2(AT_FDCWD, os.fsencode(staged), AT_FDCWD, os.fsencode(destination), EXCHANGE)
        if done == 0:
            return
        if (number := ctypes.get_errno()) not in (errno.EINVAL, errno.ENOSYS):
            raise OSError(number, os.strerror(number), str(destination))
    old = staged.with_name(staged.name + "-old")
    os.rename(destination, old)
    os.rename(staged, destination)
    os.rename(old, staged)


def _sync(folder: Path) -> None:
    """Flushes the files to disk, so that the rename never publishes names without contents."""
    for path in [*folder.rglob("*"), folder]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _remove_abandoned(parent: Path, name: str) -> None:
    """Removes staging folders of processes that are gone: they were killed before they could clean up."""
    for path in parent.glob(f"{name}*"):
        found = re.fullmatch(re.escape(name) + r"(\d+)(-old)?", path.name)
        if found and not _alive(int(found[1])):
            shutil.rmtree(path, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def _write_error(doing: str, error: OSError) -> WriteError:
    return WriteError(
        f"{doing}: {error.strerror or error}", hint="check free space and permissions, or choose another destination"
    )
