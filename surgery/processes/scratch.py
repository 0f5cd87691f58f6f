"""Scratch folders that a run removes when it ends, and that the next run removes when this one was killed.

A run holds the lock (flock(2)) of a file in its folder. The operating system releases the lock when the process ends,
however it ends. A folder whose lock nobody holds is therefore abandoned. A process number would not show it: numbers
are used again, and mean nothing in another container that shares the folder.

    surgery-scratch-x7f3k2p9/    readable by its user only
        lock                     held while the run lives
        content                  what the run writes

Where a file system has no locks, no folder is ever taken for abandoned. Folders of other users are left alone, and
nothing is removed through a symbolic link.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from surgery.errors import WriteError
from surgery.processes.signals import held_back
from surgery.wording import size

PREFIX = "surgery-scratch-"
RANDOM = "[a-z0-9_]{8}"
"""The end of a name that tempfile.mkdtemp makes."""
NAMES = re.compile(re.escape(PREFIX) + RANDOM)
LOCK = "lock"
CONTENT = "content"
_named: ContextVar[Path | None] = ContextVar("named", default=None)
"""The folder for temporary files that TMPDIR named, while `holding_temporary_files` has put another in its place."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, kw_only=True)
class Locked:
    """A folder that no other run removes while this one lives.

    Attributes:
        container: The folder around it, which also has the lock.
        lock: The descriptor of the open lock file.
    """

    container: Path
    lock: int

    @property
    def folder(self) -> Path:
        """The folder to write into. It may be renamed, and another one may be put in its place."""
        return self.container / CONTENT

    def remove(self) -> None:
        """Removes everything that is left. A signal waits until that is done; what cannot be removed stays."""
        with held_back():
            with suppress(OSError), ExitStack() as opened:
                _remove(self.container, _open_folder(self.container, opened))
            os.close(self.lock)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """An empty folder in the folder for temporary files (TMPDIR), which is removed when the block ends.

    Raises WriteError when it cannot be made.
    """
    try:
        parent = _temporary()
    except FileNotFoundError as error:  # the message of the error lists every folder that was tried
        raise WriteError(
            f"making a scratch folder: {error.strerror}",
            hint="set TMPDIR to a folder that is writable, on a disk with free space",
        ) from error
    remove_abandoned(parent, NAMES)
    try:
        locked = make_locked(parent, PREFIX)
    except OSError as error:
        raise WriteError(
            f"making a scratch folder in {parent}: {error.strerror}",
            hint="check free space and permissions, or set TMPDIR to another folder",
        ) from error
    try:
        yield locked.folder
    finally:
        locked.remove()


@contextmanager
def holding_temporary_files() -> Iterator[None]:
    """Puts the temporary files of this process, and of those that it starts, into a scratch folder.

    Libraries leave files there: TensorFlow's AutoGraph writes the code that it generates, and removes it only if the
    process ends by itself. For a program of surgery's own: the setting is one for the whole process.
    """
    with scratch_folder() as folder:
        before = tempfile.tempdir, os.environ.get("TMPDIR"), _named.set(_temporary())
        tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
        try:
            yield
        finally:
            tempfile.tempdir = before[0]
            if before[1] is None:
                del os.environ["TMPDIR"]
            else:
                os.environ["TMPDIR"] = before[1]
            _named.reset(before[2])


@contextmanager
def filling(folder: Path, doing: str, needed: int | None = None) -> Iterator[None]:
    """Raises `unwritable` in place of an OSError of the block that says that a disk or a quota is full."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise unwritable(folder, error, doing, needed) from error


def unwritable(folder: Path, error: OSError, doing: str, needed: int | None = None) -> WriteError:
    """The error for a scratch folder in which something could not be written.

    `doing` says what is written, `needed` how many bytes it takes in all, where that is known.
    """
    sizes = ""
    if error.errno in FULL:
        disk = os.statvfs(folder)
        sizes = f"; {size(disk.f_bavail * disk.f_frsize)} are free"
        sizes += f", {size(needed)} are needed" if needed is not None else ""
    return WriteError(
        f"{doing}: {error.strerror or error} in {folder.parents[1]}, the folder for temporary files{sizes}",
        hint="free some space there, or set TMPDIR to a folder on another disk",
    )


def make_locked(parent: Path, prefix: str) -> Locked:
    """Makes a folder in `parent` whose name begins with `prefix`. Raises OSError."""
    while True:
        container = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        try:
            lock = _take(container)
        except OSError:
            with suppress(OSError):
                container.rmdir()
            raise
        if lock is not None:
            (container / CONTENT).mkdir()
            return Locked(container=container, lock=lock)


def remove_abandoned(parent: Path, names: re.Pattern[str]) -> None:
    """Removes the folders in `parent` whose names match, and whose runs have ended without removing them."""
    with suppress(OSError), os.scandir(parent) as entries:
        for entry in entries:
            if names.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                # Not removable: another user's, in use, on a file system without locks, or gone meanwhile.
                with suppress(OSError):
                    _remove_if_abandoned(Path(entry.path))


def _temporary() -> Path:
    return _named.get() or Path(tempfile.gettempdir())


def _take(container: Path) -> int | None:
    """The open lock file of a new folder; None where another run has taken the folder for an abandoned one meanwhile.

    Between the making of the folder and its lock, it looks like the folder of a killed run.
    """
    try:
        lock = os.open(container / LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    except OSError:
        return lock  # no locks on this file system, so no run takes the folder for abandoned
    if os.fstat(lock).st_nlink == 0:
        os.close(lock)
        return None
    return lock


def _remove_if_abandoned(container: Path) -> None:
    with ExitStack() as opened:
        folder = _open_folder(container, opened)
        if os.fstat(folder).st_uid != os.geteuid():
            return
        try:
            lock = os.open(LOCK, os.O_RDWR | os.O_NOFOLLOW, dir_fd=folder)
        except FileNotFoundError:
            os.rmdir(container)  # killed before it had its lock; a folder with anything in it is none of ours
            return
        opened.callback(os.close, lock)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove(container, folder)


def _remove(container: Path, folder: int) -> None:
    """Removes a folder by its descriptor. The lock goes last: if this run is killed as well, the next one goes on."""
    for name in os.listdir(folder):
        if name != LOCK:
            _remove_tree(name, folder)
    os.unlink(LOCK, dir_fd=folder)
    os.rmdir(container)


def _remove_tree(name: str, parent: int) -> None:
    """Like shutil.rmtree, which takes descriptors from Python 3.11 on only. Symbolic links are not followed."""
    for _, folders, files, folder in os.fwalk(name, topdown=False, dir_fd=parent):
        for file in files:
            os.unlink(file, dir_fd=folder)
        for inner in folders:
            try:
                os.rmdir(inner, dir_fd=folder)
            except NotADirectoryError:  # a link to a folder
                os.unlink(inner, dir_fd=folder)
    try:
        os.rmdir(name, dir_fd=parent)
    except NotADirectoryError:
        os.unlink(name, dir_fd=parent)


def _open_folder(path: Path, opened: ExitStack) -> int:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    opened.callback(os.close, folder)
    return folder
