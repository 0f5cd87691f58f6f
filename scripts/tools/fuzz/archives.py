"""Archives of a module, damaged or hostile: links, paths that lead out, wrong sizes, cut files, strange zip fields."""

from __future__ import annotations

import io
import os
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random

from scripts.tools.fuzz import values

PATHS = (
    "../escaped",
    "../../escaped",
    "a/../../../escaped",
    "./x/../../escaped",
    "x" * 300,
    "a/" * 500 + "b",
    "\n",
    "²/1",
)
ZEROS = 16 << 20
MANY = 1500


def pack(rng: Random, folder: Path, area: Path) -> tuple[Path, str]:
    """Packs a module into `area` with something wrong; returns the archive, and what is wrong."""
    if rng.random() < 0.5:
        archive = area / "input.tar.gz"
        said = _pack_tar(rng, folder, archive)
    else:
        archive = area / "input.zip"
        said = _pack_zip(rng, folder, archive)
    how = rng.random()
    if how < 0.25:
        archive.write_bytes(values.damaged(rng, archive.read_bytes()))
        said += "; bytes damaged"
    elif how < 0.3:
        other = area / rng.choice(("input.zip", "input.tgz", "input.tar.gz", "input.bin"))
        archive = archive.rename(other)
        said += f"; named {other.name}"
    return archive, f"{archive.name}: {said}"


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _pack_tar(rng: Random, folder: Path, archive: Path) -> str:
    how = rng.choice([name for name in TAR_CHANGES])
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        before = rng.random() < 0.5
        if before:
            TAR_CHANGES[how](rng, tar)
        for path in _files(folder):
            tar.add(path, path.relative_to(folder).as_posix(), recursive=False)
        if not before:
            TAR_CHANGES[how](rng, tar)
    return how


def _member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", size: int = 0) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size = kind, target, size
    return member


def _add_path(rng: Random, tar: tarfile.TarFile) -> None:
    tar.addfile(_member(rng.choice((*PATHS, os.path.abspath("escaped"))), size=3), io.BytesIO(b"abc"))


def _add_link(rng: Random, tar: tarfile.TarFile) -> None:
    kind = rng.choice((tarfile.SYMTYPE, tarfile.LNKTYPE))
    target = rng.choice(("..", "/etc", "/etc/hostname", "link", "a/../../..", "saved_model.pb", "x" * 5000))
    tar.addfile(_member(rng.choice(("link", "assets", "variables", "saved_model.pb")), kind, target))
    tar.addfile(_member("link/escaped", size=3), io.BytesIO(b"abc"))


def _add_device(rng: Random, tar: tarfile.TarFile) -> None:
    kind = rng.choice((tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"9", tarfile.GNUTYPE_SPARSE))
    tar.addfile(_member(rng.choice(("device", "saved_model.pb", "vocab.txt")), kind))


def _add_false_size(rng: Random, tar: tarfile.TarFile) -> None:
    """A header that promises more bytes than follow."""
    member = _member("large", size=rng.choice((10**6, 10**10, 8**11 - 1)))
    assert tar.fileobj is not None
    tar.fileobj.write(member.tobuf(tar.format, tar.encoding or "utf-8", "surrogateescape"))


def _add_zeros(rng: Random, tar: tarfile.TarFile) -> None:
    tar.addfile(_member("zeros", size=ZEROS), io.BytesIO(bytes(ZEROS)))


def _add_many(rng: Random, tar: tarfile.TarFile) -> None:
    for number in range(MANY):
        tar.addfile(_member(f"many/{number}"))


def _add_twice(rng: Random, tar: tarfile.TarFile) -> None:
    for name in ("saved_model.pb", "config.json", "variables", "saved_model.pb/below"):
        tar.addfile(_member(name, rng.choice((tarfile.REGTYPE, tarfile.DIRTYPE))))


def _add_header(rng: Random, tar: tarfile.TarFile) -> None:
    """An extended header with a strange field."""
    member = _member("extended", size=3)
    member.pax_headers = {
        rng.choice(("path", "linkpath", "size", "mtime", "GNU.sparse.size")): values.name(rng, "1e999")
    }
    tar.addfile(member, io.BytesIO(b"abc"))


def _add_nothing(rng: Random, tar: tarfile.TarFile) -> None:
    """Adds nothing."""


TAR_CHANGES: dict[str, Callable[[Random, tarfile.TarFile], None]] = {
    "a path that leads out": _add_path,
    "a link": _add_link,
    "a device": _add_device,
    "a false size": _add_false_size,
    "zeros": _add_zeros,
    "many members": _add_many,
    "members twice": _add_twice,
    "an extended header": _add_header,
    "as it is": _add_nothing,
}


def _pack_zip(rng: Random, folder: Path, archive: Path) -> str:
    with zipfile.ZipFile(archive, "w", compresslevel=1) as packed:
        for path in _files(folder):
            packed.write(
                path, path.relative_to(folder).as_posix(), rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
            )
        how = rng.randrange(6)
        if how == 0:
            name = rng.choice((*PATHS, "/escaped", "C:\\escaped", "..\\escaped"))
            packed.writestr(zipfile.ZipInfo(name), "abc")
        elif how == 1:
            link = zipfile.ZipInfo("link")
            link.external_attr = (stat.S_IFLNK | 0o777) << 16
            packed.writestr(link, "..")
            packed.writestr("link/escaped", "abc")
        elif how == 2:
            packed.writestr("zeros", bytes(ZEROS), zipfile.ZIP_DEFLATED)
        elif how == 3:
            for number in range(MANY):
                packed.writestr(f"many/{number}", "")
    if how < 4:
        return ("a path that leads out", "a link", "zeros", "many members")[how]
    return _change_zip_field(rng, archive)


def _change_zip_field(rng: Random, archive: Path) -> str:
    """Changes a field of a random entry of the central directory."""
    data = bytearray(archive.read_bytes())
    entries = [at for at in range(len(data) - 46) if data[at : at + 4] == b"PK\1\2"]
    start = rng.choice(entries)
    name, (offset, form) = rng.choice(
        tuple({"flags": (8, "<H"), "method": (10, "<H"), "checksum": (16, "<I"), "packed size": (20, "<I"),
               "size": (24, "<I"), "length of its name": (28, "<H"), "position": (42, "<I")}.items())
    )  # fmt: skip
    struct.pack_into(form, data, start + offset, values.integer(rng) % 2 ** (8 * struct.calcsize(form)))
    archive.write_bytes(data)
    return f"{name} of an entry"
