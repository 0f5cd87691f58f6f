"""Unpacks an archive of strangers into a folder: regular files and folders only, all of them inside that folder.

`tarfile` and `zipfile` read the archive. Neither writes anything: tarfile's filter "data" could be bypassed with links
and over-long paths (CVE-2025-4517), and which interpreter has the repair depends on its patch level. Links are refused
here, so no path below the folder can lead out of it; each target is resolved and checked nevertheless.
"""

from __future__ import annotations

import gzip
import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from surgery import limits
from surgery.errors import ModuleError
from surgery.processes.scratch import unwritable

FILE, FOLDER = "file", "folder"
TAR_KINDS = {
    tarfile.SYMTYPE: "symbolic link",
    tarfile.LNKTYPE: "hard link",
    tarfile.CHRTYPE: "character device",
    tarfile.BLKTYPE: "block device",
    tarfile.FIFOTYPE: "fifo",
}
UNIX_KINDS = {
    0: FILE,
    stat.S_IFREG: FILE,
    stat.S_IFDIR: FOLDER,
    stat.S_IFLNK: "symbolic link",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}
HEADER_BYTES = 2**16
"""The most bytes of a member's tar headers, which tarfile keeps in memory."""
CHUNK = 2**20
SHOWN = 120
"""The most characters of a member's name that an error shows."""
DAMAGE = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError),
    # zipfile raises RuntimeError for an encrypted file, and its subclass NotImplementedError for an unknown
    # compression. The others are what both libraries raise for fields that make no sense.
    *(RuntimeError, ValueError, LookupError, AttributeError, ArithmeticError),
)


@dataclass(frozen=True, kw_only=True)
class Member:
    """A member of an archive.

    Attributes:
        name: Its path, as the archive has it.
        kind: "file", "folder", or what else it is.
        size: The bytes that the archive says it has.
        open: Opens its content.
    """

    name: str
    kind: str
    size: int
    open: Callable[[], IO[bytes]]


def unpack(archive: Path, folder: Path, *, stays_packed: Callable[[str], bool]) -> tuple[str, ...]:
    """Unpacks an archive (.zip, or a tar file compressed with gzip) into an empty folder.

    `stays_packed` chooses files by their path in the archive. Returns the paths of those that were left out.

    Raises:
        ModuleError: The archive is damaged, or a member is no regular file or folder, lies outside the folder, or
            stands twice; LimitError for more bytes or files than the limits allow.
        WriteError: The folder cannot be written.
    """
    doing = f"unpacking {archive}"
    root = folder.resolve(strict=True)
    kinds: dict[PurePosixPath, str] = {PurePosixPath(): FOLDER}
    left_out = []
    try:
        for member in (_zip_members if archive.suffix == ".zip" else _tar_members)(archive, doing):
            path = _path(member, root, doing)
            _enter(path, member, kinds, doing)
            limits.check("files", len(kinds) - 1, doing, exactly=False)
            if member.kind == FOLDER:
                _make_folder(root, path, doing)
            elif stays_packed(path.as_posix()):
                left_out.append(path.as_posix())
            else:
                _make_folder(root, path.parent, doing)
                with member.open() as content:
                    _write(content, member, root, path, doing)
    except DAMAGE as error:
        raise ModuleError(
            f"{doing}: {error}", hint=f"the archive is truncated or no {archive.suffix}: fetch it again"
        ) from error
    return tuple(left_out)


def _path(member: Member, root: Path, doing: str) -> PurePosixPath:
    """The path of a member within the folder. Raises ModuleError for one that no regular file or folder may have."""
    path = PurePosixPath(member.name)
    names = [os.fsencode(name) for name in path.parts]
    if member.kind not in (FILE, FOLDER):
        raise _refused(member, f"it is a {member.kind}", doing)
    if path.is_absolute() or ".." in path.parts:
        raise _refused(member, "it would be written outside", doing)
    if "\0" in member.name or (member.kind == FILE and not names):
        raise _refused(member, "no file can have this name", doing)
    too_long = len(os.fsencode(root / path)) >= os.pathconf(root, "PC_PATH_MAX")
    if too_long or any(len(name) > os.pathconf(root, "PC_NAME_MAX") for name in names):
        raise _refused(member, f"its path is too long ({len(os.fsencode(member.name))} bytes)", doing)
    return path


def _enter(path: PurePosixPath, member: Member, kinds: dict[PurePosixPath, str], doing: str) -> None:
    """Enters a member and the folders above it into `kinds`. Raises ModuleError where they contradict earlier ones."""
    above = next((parent for parent in path.parents if kinds.setdefault(parent, FOLDER) == FILE), None)
    if above is not None:
        raise _refused(member, f"{above} is a file, and no folder", doing)
    if path in kinds and FILE in (kinds[path], member.kind):
        raise _refused(member, "it is there twice", doing)
    kinds[path] = member.kind


def _refused(member: Member, reason: str, doing: str) -> ModuleError:
    shown = member.name if len(member.name) <= SHOWN else f"{member.name[:SHOWN]}…"
    return ModuleError(
        f"{doing}: expected regular files and folders that lie inside the archive, found {shown!r}: {reason}",
        hint="modules are not packed like this: fetch the archive from its publisher",
    )


def _make_folder(root: Path, path: PurePosixPath, doing: str) -> Path:
    """Makes a folder. Raises ModuleError if it does not lie inside `root`, whatever the reason."""
    try:
        (root / path).mkdir(parents=True, exist_ok=True)
        made = (root / path).resolve(strict=True)
    except OSError as error:
        raise unwritable(root, error, doing) from error
    if not made.is_relative_to(root):
        raise ModuleError(f"{doing}: {path} would be written to {made}, outside of {root}")
    return made


def _write(content: IO[bytes], member: Member, root: Path, path: PurePosixPath, doing: str) -> None:
    """Writes a new file. What is there is never opened: not a file, and no link either."""
    written = 0
    try:
        # A buffer would find out only when it is closed that a disk is full.
        file = (root / path).open("xb", buffering=0)
    except OSError as error:
        raise unwritable(root, error, doing) from error
    with file:
        while chunk := content.read(CHUNK):
            written += len(chunk)
            if written > member.size:
                break
            try:
                rest = memoryview(chunk)
                while rest:
                    rest = rest[file.write(rest) :]
            except OSError as error:
                raise unwritable(root, error, doing, member.size) from error
    if written != member.size:
        raise EOFError(f"{member.name} has not the {member.size} bytes that the archive says")


def _zip_members(archive: Path, doing: str) -> Iterator[Member]:
    with zipfile.ZipFile(archive) as packed:
        listed = packed.infolist()
        limits.check("files", len(listed), doing)
        limits.check("unpacked_bytes", sum(info.file_size for info in listed), doing)
        for info in listed:
            kind = UNIX_KINDS.get(stat.S_IFMT(info.external_attr >> 16), "file of an unknown kind")
            yield Member(
                name=info.filename,
                kind=FOLDER if info.is_dir() and kind == FILE else kind,
                size=info.file_size,
                open=partial(packed.open, info),
            )


def _tar_members(archive: Path, doing: str) -> Iterator[Member]:
    declared = 0
    with _Unzipped(archive, doing) as stream, tarfile.TarFile(fileobj=stream) as tar:
        while (info := tar.next()) is not None:
            tar.members = []  # type: ignore[attr-defined]  # tarfile would keep every header
            if info.size < 0:
                raise tarfile.ReadError(f"{info.name} has a negative size")
            declared += info.size
            limits.check("unpacked_bytes", declared, doing, exactly=False)
            kind = (
                FOLDER if info.isdir() else FILE if info.isfile() else TAR_KINDS.get(info.type, "unknown kind of file")
            )
            stream.allowed = info.size
            yield Member(
                name=info.name,
                kind="sparse file" if info.issparse() else kind,
                size=info.size,
                open=partial(_content, tar, info),
            )
            stream.allowed = HEADER_BYTES


def _content(tar: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    content = tar.extractfile(info)
    assert content is not None, "extractfile opens every regular file"
    return content


class _Unzipped(gzip.GzipFile):
    """The bytes of a .tar.gz. It ends at the limit of unpacked bytes, and bounds what tarfile reads into memory.

    Attributes:
        allowed: The bytes that may be read until the next member.
    """

    def __init__(self, archive: Path, doing: str) -> None:
        super().__init__(archive, "rb")
        self.allowed = HEADER_BYTES
        self._doing = doing

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= self.allowed:
            raise tarfile.ReadError("the headers of a member are too large, or make no sense")
        self.allowed -= size
        data = super().read(size)
        limits.check("unpacked_bytes", self.tell(), self._doing, exactly=False)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        limits.check("unpacked_bytes", offset, self._doing, exactly=False)
        return super().seek(offset, whence)
