"""Staging beside the destination and publishing in one rename each: a crash leaves the old state or the new one."""

from __future__ import annotations

import ctypes
import errno
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import product
from pathlib import Path

from surgery.arguments import argument
from surgery.errors import UsageError, WriteError
from surgery.export.published import PUBLISHED
from surgery.processes.scratch import RANDOM, make_locked, remove_abandoned
from surgery.processes.signals import held_back
from surgery.sources.files import SAVED_MODEL
from surgery.wording import is_number

EXCHANGE = 2
"""RENAME_EXCHANGE of Linux's renameat2(2): swaps two paths atomically."""
AT_FDCWD = -100
STAGING = re.compile(rf"\..+\.staging-{RANDOM}")


def choose_destination(
    destination: Path | None, module_name: str, *, overwrite: bool, known_by: str = SAVED_MODEL
) -> Path:
    """The folder to publish: `destination`, or without it `exported/<module name>/<next integer version>`.

    With `overwrite`, a folder is only replaced if it is empty or has the file `known_by`, so that a wrong path never
    costs somebody another folder. Raises UsageError when the destination exists and may not be overwritten, and
    WriteError when its state cannot be read. The call comes before every slow step.
    """
    try:
        return _choose(destination, module_name, overwrite=overwrite, known_by=known_by)
    except OSError as error:
        raise _write_error(f"looking at the destination {destination or 'exported'}", error) from error


def _choose(destination: Path | None, module_name: str, *, overwrite: bool, known_by: str) -> Path:
    if destination is not None and destination.is_symlink():
        destination = destination.resolve()
    if destination is None:
        parent = Path("exported") / module_name
        versions = [int(p.name) for p in parent.iterdir() if is_number(p.name)] if parent.is_dir() else []
        destination = parent / str(max(versions, default=0) + 1)
        check_parents(destination)
        return destination
    check_parents(destination)
    if destination.exists() and not destination.is_dir():
        raise UsageError(
            f"writing to {destination}: expected a folder to write, found a file", hint="choose another destination"
        )
    if destination.exists() and not overwrite:
        raise UsageError(
            f"writing to {destination}: it exists already",
            hint=f"choose another destination, or give {argument('overwrite', True)}",
        )
    if destination.exists() and not (destination / known_by).is_file() and not _is_empty(destination):
        raise UsageError(
            f"overwriting {destination}: it has no {known_by}, so {argument('overwrite', True)} will not remove it",
            hint="choose another destination, or remove it yourself",
        )
    return destination


def check_parents(destination: Path) -> None:
    """Checks that the nearest parent of a destination that exists is a folder.

    Raises WriteError for a destination below a file or a broken link.
    """
    parent = next((parent for parent in destination.parents if os.path.lexists(parent)), None)
    if parent is not None and not parent.is_dir():
        found = "a link to nothing" if parent.is_symlink() and not parent.exists() else "a file"
        raise WriteError(
            f"writing to {destination}: expected {parent} to be a folder, found {found}",
            hint="choose a destination whose parents are folders, or do not exist yet",
        )


def check_apart(destinations: Iterable[Path | None], sources: Iterable[str | Path | None]) -> None:
    """Checks that nothing is written over what is read, or into it; links are followed.

    None among the destinations, and None, handles and remote paths among the sources, are left out. Raises UsageError
    where a destination is a source, contains one, or lies inside one.
    """
    read = [Path(source) for source in sources if source is not None and "://" not in str(source)]
    for destination, source in product(filter(None, destinations), read):
        contains, inside = _lies_in(source, destination), _lies_in(destination, source)
        if contains or inside:
            relation = "it is" if contains and inside else "it contains" if contains else "it lies inside"
            raise UsageError(
                f"writing to {destination}: {relation} {source}, which is read", hint="choose another destination"
            )


def _lies_in(path: Path, folder: Path) -> bool:
    """Whether a path is a folder or lies in it, under whatever name."""
    path, folder = Path(os.path.realpath(path)), Path(os.path.realpath(folder))
    return any(
        place == folder or (place.exists() and folder.exists() and place.samefile(folder))
        for place in (path, *path.parents)
    )


@contextmanager
def staging(destination: Path, *, keep_failed: bool = False) -> Iterator[Path]:
    """A folder to write into, in a locked folder beside the destination (surgery.processes.scratch).

    Such folders of runs that were killed are removed first. If the block raises, the folder is removed. With
    `keep_failed`, it is moved to `kept_folder` instead, unless it is empty. Raises WriteError when the folder cannot be
    made.
    """
    made = [parent for parent in destination.parents if not parent.exists()]
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(destination.parent, STAGING)
        locked = make_locked(destination.parent, f".{destination.name}.staging-")
    except OSError as error:
        raise _write_error(f"making a staging folder in {destination.parent}", error) from error
    folder = locked.folder
    try:
        yield folder
    except BaseException:
        if keep_failed and folder.is_dir() and any(folder.iterdir()):
            os.rename(folder, kept_folder(folder))
        raise
    finally:
        locked.remove()
        for parent in made:
            with suppress(OSError):
                parent.rmdir()  # fails, as it should, where an export was published into the folder


def kept_folder(staged: Path) -> Path:
    """The path to which a failed export is moved if it shall be kept.

    It lies beside the destination, under a name that is never cleaned up.
    """
    container = staged.parent
    return container.with_name(container.name.lstrip(".").replace(".staging-", ".failed-"))


def publish(staged: Path, destination: Path, *, overwrite: bool) -> None:
    """Moves a finished export into place in one step. With `overwrite`, it changes places with an old one.

    Raises WriteError when the destination has appeared in the meantime, or the file system refuses the rename.
    """
    publish_together({staged: destination}, overwrite=overwrite)


def publish_together(exports: Mapping[Path, Path], *, overwrite: bool) -> None:
    """Moves finished exports into place, all of them or none. `exports` maps staged folders to destinations.

    Each export is moved in one step. When one cannot be moved, the exports before it are moved back. A signal to end
    waits until all are moved. If the process is killed between two of the steps, the exports moved so far are new and
    the others old. The exports that are replaced are then in the staged folders. Raises WriteError as `publish` does.
    """
    for staged, destination in exports.items():
        with _publishing(destination):
            _sync(staged)
    moved: list[tuple[Path, Path]] = []
    with held_back():
        try:
            for staged, destination in exports.items():
                with _publishing(destination):
                    _move(staged, destination, overwrite=overwrite)
                moved.append((staged, destination))
        except BaseException:
            for staged, destination in reversed(moved):
                with _publishing(destination):
                    _move_back(staged, destination)
            raise
        PUBLISHED.extend(exports.values())


def _move(staged: Path, destination: Path, *, overwrite: bool) -> None:
    """Puts a folder into place. The folder that it replaces is then at `staged`."""
    if overwrite and destination.exists():
        _exchange(staged, destination)
    else:
        os.rename(staged, destination)


def _move_back(staged: Path, destination: Path) -> None:
    if staged.exists():
        _exchange(staged, destination)
    else:
        os.rename(destination, staged)


@contextmanager
def _publishing(destination: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _write_error(f"publishing {destination}", error) from error


def publish_file(staged: Path, destination: Path) -> None:
    """Moves a finished file into place in one step, and replaces a file that is there.

    Raises WriteError when the file system refuses.
    """
    try:
        _flush(staged)
        with held_back():
            os.replace(staged, destination)
            PUBLISHED.append(destination)
        _flush(destination.parent)
    except OSError as error:
        raise _write_error(f"writing {destination}", error) from error


def _exchange(staged: Path, destination: Path) -> None:
    """Swaps the two folders atomically; where the system has no such call, by renames one after the other."""
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
        _flush(path)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def _write_error(doing: str, error: OSError) -> WriteError:
    return WriteError(
        f"{doing}: {error.strerror or error}", hint="check free space and permissions, or choose another destination"
    )
