"""From what a person types to a folder; and every way in which there is nothing to open."""

from __future__ import annotations

import io
import json
import resource
import signal
import tarfile
import tempfile
import zipfile
from pathlib import Path

import pytest

import surgery
from surgery.errors import ModuleError, WriteError
from surgery.sources.location import locate, module_name
from tests.support.builders.common import PACKED


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("https://tfhub.dev/tensorflow/bert_en_uncased_L-12_H-768_A-12/4", "bert_en_uncased_L-12_H-768_A-12"),
        ("https://tfhub.dev/google/small_bert/1?tf-hub-format=compressed", "small_bert"),
        ("gs://bucket/models/bert.tar.gz", "bert"),
        ("/models/bert/3", "bert"),
        ("/models/bert/", "bert"),
        ("/models/bert.tgz", "bert"),
        ("/models/my bert!", "my_bert_"),
        ("/models/.hidden", "hidden"),
        ("/7", "7"),
        ("/", "module"),
    ],
)
def test_a_module_is_named_after_its_handle_folder_or_archive_without_a_version(typed: str, name: str):
    assert module_name(typed) == name


def test_the_current_folder_has_its_own_name(tmp_path, monkeypatch):
    (tmp_path / "bert" / "2").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "bert" / "2")
    assert module_name(".") == "bert"


def test_a_folder_is_opened_where_it_is(modules):
    with locate(str(modules("g3_small")), with_weights=True) as found:
        assert found.folder == modules("g3_small")
        assert (found.name, found.left_out) == ("g3_small", frozenset())


def test_an_archive_is_unpacked_for_as_long_as_it_is_needed():
    with locate(str(PACKED / "g3_small.tar.gz"), with_weights=True) as found:
        assert found.name == "g3_small"
        assert (found.folder / "variables" / "variables.data-00000-of-00001").stat().st_size > 1000
    assert not found.folder.exists()


@pytest.mark.parametrize("room", [100, 20_000])
def test_a_full_folder_for_temporary_files_is_no_damaged_archive(room, tmp_path, tmp_path_factory, monkeypatch):
    """A file that fits into a buffer, and one that does not."""
    archive = tmp_path_factory.mktemp("packed") / "module.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("saved_model.pb", bytes(2 * room))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        with (
            pytest.raises(WriteError, match=f"unpacking .*module.zip.* in {tmp_path}.* are needed") as caught,
            locate(str(archive), with_weights=True),
        ):
            raise AssertionError("it does not fit")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert "TMPDIR" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_without_need_the_weights_stay_packed_and_are_not_missed():
    with locate(str(PACKED / "g3_small.tar.gz"), with_weights=False) as found:
        assert found.left_out == {"variables/variables.data-00000-of-00001"}
        assert not list(found.folder.glob("variables/variables.data-*"))
    assert surgery.inspect(PACKED / "g3_small.tar.gz").module.problems == ()


def test_an_archive_and_its_folder_give_the_same_plan(modules):
    archived, folder = surgery.plan(PACKED / "g3_small.tar.gz"), surgery.plan(modules("g3_small"))
    assert archived.weights == folder.weights
    assert archived.module.fingerprint == folder.module.fingerprint
    assert archived.destination == folder.destination


@pytest.mark.parametrize("prefix", ["", "./", "bert/", "./bert/1/"])
def test_the_module_may_lie_deeper_in_the_archive(prefix: str, modules, tmp_path):
    folder = modules("g3_small")
    with tarfile.open(tmp_path / "bert.tgz", "w:gz") as tar:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                tar.add(path, prefix + path.relative_to(folder).as_posix())
    found = surgery.inspect(tmp_path / "bert.tgz")
    assert found.module.name == "bert"
    assert found.module.problems == ()
    assert found.inference is not None


def refused(module: object, *words: str) -> ModuleError:
    with pytest.raises(ModuleError) as caught:
        surgery.plan(str(module))
    for word in words:
        assert word in str(caught.value)
    return caught.value


def test_a_folder_that_is_not_there(tmp_path):
    refused(tmp_path / "nothing", "no such folder or file", str(tmp_path / "nothing"))


def test_a_link_to_itself_is_no_module(tmp_path):
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    refused(loop, "no such folder or file")


def test_a_name_longer_than_file_systems_allow():
    refused("x" * 5000)


def test_an_empty_folder(tmp_path):
    refused(tmp_path, "expected a SavedModel (saved_model.pb)", "an empty folder")


def test_a_folder_of_something_else_is_told_by_its_files(tmp_path):
    (tmp_path / "weights.npz").write_bytes(b"")
    refused(tmp_path, "expected a SavedModel (saved_model.pb)", "weights.npz")


def test_a_folder_above_the_module_gets_the_right_hint(modules):
    error = refused(modules("g3_small").parent, "expected a SavedModel (saved_model.pb)")
    assert str(modules("g3_small")) in error.hint


def test_a_file_of_a_module_gets_the_right_hint(modules):
    error = refused(modules("g3_small") / "saved_model.pb", "it is the graph of a SavedModel")
    assert str(modules("g3_small")) in error.hint


def test_a_file_that_is_no_archive(tmp_path):
    (tmp_path / "module.rar").write_bytes(b"Rar")
    refused(tmp_path / "module.rar", "it is a file, expected a folder")
    (tmp_path / "module.zip").write_bytes(b"PK")
    refused(tmp_path / "module.zip", "unpacking", "not a zip file")


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b", b"\x1f\x8b\x08\x00" + b"\x00" * 40])
def test_an_archive_that_is_none(content: bytes, tmp_path):
    (tmp_path / "module.tar.gz").write_bytes(content)
    refused(tmp_path / "module.tar.gz", "unpacking")


@pytest.mark.parametrize("command", [surgery.inspect, surgery.plan])
def test_an_archive_truncated_anywhere_is_a_module_error(command, tmp_path):
    whole = (PACKED / "g3_small.tar.gz").read_bytes()
    lengths = [1, 2, 10, 100, 1000, *range(20_000, len(whole) - 1, len(whole) // 12)]
    for length in lengths:
        (tmp_path / "cut.tar.gz").write_bytes(whole[:length])
        with pytest.raises(ModuleError, match="truncated"):
            command(tmp_path / "cut.tar.gz")


def archive(path: Path, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b"\0" * member.size))
    return path


def member(name: str, size: int = 3, **fields: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = size
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def test_an_archive_without_a_module(tmp_path):
    refused(archive(tmp_path / "other.tar.gz", member("readme.txt")), "in the archive, found none")
    refused(archive(tmp_path / "empty.tar.gz"), "in the archive, found none")


@pytest.mark.parametrize("command", [surgery.inspect, surgery.plan])
def test_a_zip_archive_truncated_anywhere_is_a_module_error(command, modules, tmp_path):
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in modules("hf_electra").iterdir():
            archive.write(path, path.name)
    content = whole.getvalue()
    for length in [1, 2, 10, 100, 1000, *range(20_000, len(content) - 1, len(content) // 12), len(content) - 1]:
        (tmp_path / "cut.zip").write_bytes(content[:length])
        with pytest.raises(ModuleError, match="truncated"):
            command(tmp_path / "cut.zip")


def test_a_handle_that_cannot_be_resolved_is_told_with_the_reason(monkeypatch):
    class Done:
        returncode, stdout, stderr = 1, "", "Traceback\nURLError: no route to host"

    monkeypatch.setattr("subprocess.run", lambda *args, **kwargs: Done())
    error = refused("https://tfhub.invalid/google/bert/1", "https://tfhub.invalid/google/bert/1", "no route to host")
    assert "network" in error.hint


def test_a_handle_is_opened_where_it_was_cached(monkeypatch, modules):
    class Done:
        returncode, stderr = 0, ""
        stdout = "a word before\n" + json.dumps({"folder": str(modules("g3_small")), "files": None}) + "\n"

    monkeypatch.setattr("subprocess.run", lambda *args, **kwargs: Done())
    found = surgery.plan("https://tfhub.dev/tensorflow/bert_small/2")
    assert found.module.name == "bert_small"
    assert found.destination == Path("exported/bert_small/1")


def test_an_encrypted_zip_is_refused_without_a_traceback(tmp_path):
    path = tmp_path / "module.zip"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("module/saved_model.pb", b"x")
    data = bytearray(path.read_bytes())
    data[6] |= 1  # the flag of encryption, here and in the directory at the end
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    refused(path, "unpacking", "encrypted")
