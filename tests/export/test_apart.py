"""Nothing is written over what is read: a module, its archive, its vocabulary, a corpus."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import surgery
from surgery.edits import KeepBlocks
from surgery.errors import UsageError
from surgery.export.publish import check_apart
from tests.support.builders.common import PACKED

WRITERS: dict[str, Callable[..., object]] = {
    "convert": surgery.convert,
    "preprocess": lambda module, *args, **options: surgery.preprocess(module, *args, lower_case=True, **options),
    "tap": lambda module, *args, **options: surgery.tap(module, *args, tensors="any", **options),
    "edit": lambda module, *args, **options: surgery.edit(module, KeepBlocks("0")).export(*args, **options),
}


@pytest.fixture
def module(modules, tmp_path) -> Path:
    """A copy of a module that is also version 1 of `served/bert`."""
    return Path(shutil.copytree(modules("g3_small"), tmp_path / "served" / "bert" / "1"))


def refused(write: Callable[..., object], *arguments: object, **options: object) -> str:
    with pytest.raises(UsageError) as caught:
        write(*arguments, overwrite=True, **options)
    return str(caught.value)


@pytest.mark.parametrize("name", WRITERS)
def test_a_module_is_never_overwritten(name: str, module: Path, tmp_path: Path, monkeypatch):
    before = sorted(tmp_path.rglob("*"))
    write = WRITERS[name]
    assert f"writing to {module}: it is {module}, which is read" in refused(write, module, module)
    assert "it lies inside" in refused(write, module, module / "deeper" / "1")
    (tmp_path / "link").symlink_to(module)
    (tmp_path / "latest").symlink_to(module.parent)
    for source, destination in (
        (module, tmp_path / "link"),
        (tmp_path / "link", module),
        (module, tmp_path / "latest" / "1"),
        (tmp_path / "latest" / "1", tmp_path / "link"),
    ):
        assert ": it is " in refused(write, source, destination)
    (module.parent / "saved_model.pb").touch()
    assert "it contains" in refused(write, module, module.parent)
    monkeypatch.chdir(module)
    assert ": it is " in refused(write, ".", module)
    for made in (module.parent / "saved_model.pb", tmp_path / "link", tmp_path / "latest"):
        made.unlink()
    assert sorted(tmp_path.rglob("*")) == before


def test_an_archive_a_vocabulary_and_the_text_export_count_too(module: Path, tmp_path: Path):
    archive = shutil.copy(PACKED / "g3_small.tar.gz", module)
    assert "it contains" in refused(surgery.convert, archive, module)
    archive = shutil.copy(PACKED / "g3_small.tar.gz", tmp_path)
    vocab = module / "assets" / "vocab.txt"
    for write in (surgery.preprocess, lambda *args, **options: surgery.convert(*args, text=True, **options)):
        assert f"it contains {vocab}" in refused(write, archive, module, vocab=vocab)
    text = Path(shutil.copytree(module, tmp_path / "served" / "bert_text" / "1"))
    assert f"writing to {text}: it is {text}" in refused(surgery.convert, text, module, text=True)


def test_what_lies_beside_is_no_danger(module: Path, tmp_path: Path):
    check_apart([module.with_name("2"), tmp_path / "1", tmp_path / "served" / "bertha", None], [module, None])
    check_apart([tmp_path / "tfhub.dev"], ["https://tfhub.dev/google/bert/1", "gs://tfhub.dev/corpus.txt"])
