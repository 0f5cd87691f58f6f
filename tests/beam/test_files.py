"""The files of an extraction: what a path or a glob names, each file once."""

from __future__ import annotations

import pytest

from surgery.beam.running import find_files
from surgery.errors import UsageError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("a.txt", "b.txt", "a[b].txt", "ab.txt"):
        (tmp_path / name).write_text(f"{name}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_file_whose_name_has_characters_of_globs_is_itself(folder):
    # As a glob it would name ab.txt.
    assert find_files(["a[b].txt"]) == {"a[b].txt": 9}
    assert find_files([str(folder / "a[b].txt")]) == {str(folder / "a[b].txt"): 9}


def test_a_glob_without_a_folder_looks_in_the_current_one(folder):
    assert list(find_files(["?.txt"])) == ["a.txt", "b.txt"]


def test_a_file_that_is_named_in_several_ways_is_read_once(folder):
    named = ["b.txt", "./b.txt", str(folder / "?.txt")]
    assert list(find_files(named)) == ["b.txt", str(folder / "a.txt")]


@pytest.mark.parametrize("pattern", ["c.txt", "*.text", "."])
def test_what_names_no_file_is_refused(folder, pattern):
    with pytest.raises(UsageError, match=r"no such file|it is a folder"):
        find_files([pattern])
