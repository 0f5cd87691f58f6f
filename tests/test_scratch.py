"""Scratch folders: a run removes its own, the next one those of killed runs, and nobody anything else."""

from __future__ import annotations

import fcntl
import os
import signal
import tempfile
from pathlib import Path

import pytest

from surgery import scratch
from surgery.errors import WriteError
from surgery.scratch import filling, holding_temporary_files, scratch_folder


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder for temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def in_a_child(run):
    """The exit status of `run` in a process of its own, which is killed when it returns."""
    pid = os.fork()
    if pid == 0:
        try:
            kept = run()  # noqa: F841  an open context would be closed with its last reference
            os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    return os.waitpid(pid, 0)[1]


def abandon():
    context = scratch_folder()
    folder = context.__enter__()
    (folder / "variables").mkdir()
    (folder / "variables" / "values").write_text("440 MB")
    return context


def test_a_scratch_folder_is_gone_afterwards_and_after_an_error(temporary):
    with scratch_folder() as folder:
        (folder / "file").write_text("x")
        assert folder.parents[1] == temporary
    with pytest.raises(ValueError, match="no"), scratch_folder():
        raise ValueError("no")
    assert list(temporary.iterdir()) == []


def test_the_next_run_removes_the_folders_of_killed_runs_and_none_that_is_in_use(temporary):
    with scratch_folder() as mine:
        assert in_a_child(abandon) == signal.SIGKILL
        assert len(list(temporary.iterdir())) == 2
        with scratch_folder() as other:
            assert set(temporary.iterdir()) == {mine.parent, other.parent}


def test_a_run_that_is_killed_while_it_removes_leaves_a_folder_that_the_next_run_removes(temporary, monkeypatch):
    def killed_at(name):
        def run():
            monkeypatch.setattr(os, name, lambda *args, **kwargs: os.kill(os.getpid(), signal.SIGKILL))
            with scratch_folder() as folder:
                (folder / "file").write_text("x")

        return run

    for step in ("unlink", "rmdir"):
        assert in_a_child(killed_at(step)) == signal.SIGKILL
        assert len(list(temporary.iterdir())) == 1
        scratch.remove_abandoned(temporary, scratch.NAMES)
        assert list(temporary.iterdir()) == []


def test_links_are_removed_and_not_followed(temporary, tmp_path_factory):
    precious = tmp_path_factory.mktemp("precious")
    (precious / "thesis.tex").write_text("years of work")
    (temporary / f"{scratch.PREFIX}abcdefgh").symlink_to(precious, target_is_directory=True)

    def abandon_links():
        context = scratch_folder()
        folder = context.__enter__()
        (folder / "variables").symlink_to(precious, target_is_directory=True)
        (folder / "graph").symlink_to(precious / "thesis.tex")
        (folder.parent / "beside").symlink_to(precious, target_is_directory=True)
        return context

    in_a_child(abandon_links)
    with scratch_folder():
        assert len(list(temporary.iterdir())) == 2
    assert (precious / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize("reason", ["another user's", "no locks", "not ours", "a longer name"])
def test_folders_that_may_be_in_use_are_left_alone(reason, temporary, monkeypatch):
    if reason == "not ours":
        (temporary / f"{scratch.PREFIX}abcdefgh").mkdir()
        (temporary / f"{scratch.PREFIX}abcdefgh" / "notes.txt").write_text("mine")
    else:
        in_a_child(abandon)
    (left,) = temporary.iterdir()
    if reason == "another user's":
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    if reason == "no locks":
        monkeypatch.setattr(fcntl, "flock", lambda *_: (_ for _ in ()).throw(OSError(95, os.strerror(95))))
    if reason == "a longer name":
        left = left.rename(f"{left}-mine")
    before = sorted(left.rglob("*"))
    with scratch_folder() as folder:
        (folder / "file").write_text("x")
    assert sorted(left.rglob("*")) == before
    assert list(temporary.iterdir()) == [left]


def test_a_folder_that_another_run_takes_for_abandoned_before_it_is_locked_is_made_anew(temporary, monkeypatch):
    """The other run looks right after the folder is made, and right after its lock file is."""
    flock, make = fcntl.flock, tempfile.mkdtemp
    looks = []

    def look():
        if len(looks) < 2:
            looks.append(len(looks))
            in_a_child(lambda: scratch.remove_abandoned(temporary, scratch.NAMES))

    def made(**options):
        folder = make(**options)
        if not looks:
            look()
        return folder

    def locked(*args):
        look()
        flock(*args)

    monkeypatch.setattr(tempfile, "mkdtemp", made)
    monkeypatch.setattr(fcntl, "flock", locked)
    with scratch_folder() as folder:
        assert looks == [0, 1]
        assert folder.is_dir()
        assert list(temporary.iterdir()) == [folder.parent]
    assert list(temporary.iterdir()) == []


def test_a_full_folder_for_temporary_files_is_called_that(temporary):
    with scratch_folder() as folder, pytest.raises(WriteError) as caught, filling(folder, "unpacking m.zip", 450 << 20):
        raise OSError(28, os.strerror(28))
    assert (
        f"unpacking m.zip: No space left on device in {temporary}, the folder for temporary files; "
        in caught.value.message
    )
    assert "450.0 MiB are needed" in caught.value.message
    assert "set TMPDIR" in caught.value.hint


def test_a_folder_for_temporary_files_that_cannot_be_written_is_named(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/proc")
    with pytest.raises(WriteError, match="making a scratch folder in /proc: "), scratch_folder():
        raise AssertionError(Path("/proc"))


def test_files_that_libraries_leave_are_removed_as_well(temporary, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(temporary))
    with holding_temporary_files():
        (left,) = temporary.iterdir()
        assert Path(tempfile.mkdtemp()).parents[1] == left
        assert Path(os.environ["TMPDIR"]).parent == left
        with scratch_folder() as folder:
            assert folder.parents[1] == temporary
    assert list(temporary.iterdir()) == []
    assert (tempfile.tempdir, os.environ["TMPDIR"]) == (str(temporary), str(temporary))
