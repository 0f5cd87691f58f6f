"""Archives from strangers: nothing is written outside the folder, and nothing but regular files and folders."""

from __future__ import annotations

import io
import os
import shutil
import stat
import tarfile
import tracemalloc
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from surgery import limits
from surgery.errors import LimitError, ModuleError, WriteError
from surgery.sources.archives import unpack

LINKS = (tarfile.SYMTYPE, tarfile.LNKTYPE)
Entry = tuple[str, bytes | None, dict[str, object]]


def entry(name: str, content: bytes | None = b"abc", **fields: object) -> Entry:
    """A file with its content, or a folder where the content is None; `fields` are those of a TarInfo."""
    return name, content, fields


def packed(path: Path, entries: Iterable[Entry]) -> Path:
    """A .tar.gz with these entries."""
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as tar:
        for name, content, fields in entries:
            info = tarfile.TarInfo(name)
            info.type, info.size = (tarfile.DIRTYPE, 0) if content is None else (tarfile.REGTYPE, len(content))
            for field, value in fields.items():
                setattr(info, field, value)
            tar.addfile(info, io.BytesIO(content or b""))
    return path


def zipped(path: Path, entries: Iterable[tuple[str, bytes, int]]) -> Path:
    """A .zip with these entries: name, content and Unix mode."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content, mode in entries:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, content, zipfile.ZIP_DEFLATED)
    return path


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "above" / "scratch"
    folder.mkdir(parents=True)
    return folder


def empty(folder: Path) -> Path:
    shutil.rmtree(folder)
    folder.mkdir()
    return folder


def opened(archive: Path, scratch: Path) -> dict[str, bytes]:
    unpack(archive, scratch, stays_packed=lambda name: False)
    return {path.relative_to(scratch).as_posix(): path.read_bytes() for path in scratch.rglob("*") if path.is_file()}


def refused(archive: Path, scratch: Path, *words: str) -> None:
    """Refused with these words, and without a trace outside of the folder."""
    outside = set(scratch.parents[1].rglob("*")) - set(scratch.rglob("*"))
    with pytest.raises(ModuleError) as caught:
        opened(archive, scratch)
    for word in words:
        assert word in str(caught.value)
    assert set(scratch.parents[1].rglob("*")) - set(scratch.rglob("*")) == outside


def bypass() -> Iterable[Entry]:
    """Links and over-long paths with which tarfile's filter "data" lets a file be written outside.

    os.path.realpath stops at the first path that is too long, and takes the rest, with its links, as it stands.
    """
    folder, steps, path = "d" * 247, "abcdefghijklmnop", ""
    for step in steps:
        yield entry(path + folder, None)
        yield entry(path + step, b"", type=tarfile.SYMTYPE, linkname=folder)
        path += f"{folder}/"
    long = "/".join(steps) + "/" + "l" * 254
    yield entry(long, b"", type=tarfile.SYMTYPE, linkname="../" * len(steps))
    yield entry("escape", b"", type=tarfile.SYMTYPE, linkname=f"{long}/../")
    yield entry("escape/outside.txt")


def test_the_published_bypass_of_tarfiles_filter_writes_nothing_outside(tmp_path, scratch):
    refused(packed(tmp_path / "evil.tar.gz", bypass()), scratch, "found 'a': it is a symbolic link")
    assert not list(tmp_path.rglob("outside.txt"))


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        (tarfile.SYMTYPE, "symbolic link"),
        (tarfile.LNKTYPE, "hard link"),
        (tarfile.FIFOTYPE, "fifo"),
        (tarfile.CHRTYPE, "character device"),
        (tarfile.BLKTYPE, "block device"),
        (tarfile.GNUTYPE_SPARSE, "sparse file"),
        (b"Z", "unknown kind"),
    ],
)
def test_only_files_and_folders_are_unpacked(kind: bytes, shown: str, tmp_path, scratch):
    evil = entry("m/saved_model.pb", b"", type=kind, linkname="m/other" if kind in LINKS else "")
    refused(packed(tmp_path / "evil.tar.gz", [entry("m/other"), evil]), scratch, "'m/saved_model.pb'", shown)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, 0o110000])
def test_a_zip_archive_has_files_and_folders_only_too(kind: int, tmp_path, scratch):
    archive = zipped(tmp_path / "evil.zip", [("m/vocab.txt", b"/etc/hostname", kind | 0o777)])
    refused(archive, scratch, "'m/vocab.txt'", "it is a ")


@pytest.mark.parametrize("name", ["../outside", "a/../../outside", "a/..", "..", "/absolute", "//absolute", ".", "\0"])
def test_a_name_that_leads_out_is_refused(name: str, tmp_path, scratch):
    refused(packed(tmp_path / "evil.tar.gz", [entry(name)]), scratch)
    if name != "\0":  # zipfile itself cuts a name there
        refused(zipped(tmp_path / "evil.zip", [(name, b"abc", 0o644)]), scratch)


@pytest.mark.filterwarnings("ignore:Duplicate name")  # zipfile's, as it writes the archive
@pytest.mark.parametrize(
    "names",
    [("a", "a"), ("a", "./a"), ("a", "a/b"), ("a/b", "a"), ("a", "a/b/c"), ("x" * 256,), ("é" * 128,), ("x/" * 2100,)],
    ids=str,
)
def test_members_that_do_not_fit_together_are_refused(names: tuple[str, ...], tmp_path, scratch):
    refused(packed(tmp_path / "evil.tar.gz", [entry(name) for name in names]), scratch)
    refused(zipped(tmp_path / "evil.zip", [(name, b"abc", 0o644) for name in names]), empty(scratch), "regular files")


def test_ordinary_archives_are_unpacked_whole(tmp_path, scratch):
    entries = [entry("./", None), entry("./m/", None), entry("./m/", None), entry("./m/a/b"), entry("m/empty", b"")]
    there = {"m/a/b": b"abc", "m/empty": b""}
    assert opened(packed(tmp_path / "m.tar.gz", entries), scratch) == there
    members = [("m/", b"", stat.S_IFDIR | 0o755), ("m/a/b", b"abc", 0), ("m/empty", b"", stat.S_IFREG | 0o4777)]
    assert opened(zipped(tmp_path / "m.zip", members), empty(scratch)) == there
    assert (scratch / "m" / "empty").stat().st_mode & 0o7111 == 0


def test_a_link_that_is_there_already_is_not_followed(tmp_path, scratch):
    (scratch / "m").symlink_to(tmp_path)
    refused(packed(tmp_path / "m.tar.gz", [entry("m/outside")]), scratch, "would be written to")
    (scratch / "n").symlink_to(tmp_path / "outside")
    with pytest.raises(WriteError):
        opened(packed(tmp_path / "n.tar.gz", [entry("n")]), scratch)
    assert not (tmp_path / "outside").exists()


def test_unpacked_bytes_and_files_have_limits(tmp_path, scratch):
    entries = [entry(f"m/{number}", bytes(1000)) for number in range(5)]
    archives = [packed(tmp_path / "m.tar.gz", entries), zipped(tmp_path / "m.zip", [(n, c, 0) for n, c, _ in entries])]
    for archive in archives:
        for limit in ({"unpacked_bytes": 4999}, {"files": 5}):
            with limits.raised(limit), pytest.raises(LimitError, match=next(iter(limit))):
                unpack(archive, scratch, stays_packed=lambda name: True)
    with limits.raised({"unpacked_bytes": 2999}):
        refused(archives[0], scratch, "unpacked_bytes")
    assert not (scratch / "m" / "2").exists()


def test_a_size_that_is_not_true_is_an_error(tmp_path, scratch):
    whole = zipped(tmp_path / "m.zip", [("m", bytes(1000), 0)]).read_bytes()
    for size in (999, 1001):
        (tmp_path / "m.zip").write_bytes(whole.replace((1000).to_bytes(4, "little"), size.to_bytes(4, "little")))
        with pytest.raises(ModuleError):
            opened(tmp_path / "m.zip", empty(scratch))


def test_headers_cannot_fill_the_memory(tmp_path, scratch):
    comment = {"comment": "x" * 20_000_000}
    archive = packed(tmp_path / "m.tar.gz", [entry("m", b"abc", pax_headers=comment)])
    tracemalloc.start()
    refused(archive, scratch, "headers of a member are too large")
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()


def test_a_full_disk_is_no_damaged_archive(tmp_path, scratch):
    if os.geteuid() == 0:
        (scratch / "m").write_bytes(b"")  # a stand-in for what root may do: the folder cannot be made
    else:
        scratch.chmod(0o500)
    with pytest.raises(WriteError, match="TMPDIR"):
        opened(packed(tmp_path / "m.tar.gz", [entry("m/a")]), scratch)
