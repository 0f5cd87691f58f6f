"""Staging and publishing: whatever happens, the destination is as it was or the whole new export."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from surgery.errors import UsageError, WriteError
from surgery.export import publish as publishing
from surgery.export.publish import choose_destination, publish, publish_together, staging


def export(folder: Path, content: str) -> Path:
    """A folder that looks like a SavedModel."""
    (folder / "variables").mkdir(parents=True, exist_ok=True)
    (folder / "saved_model.pb").write_text(content)
    (folder / "variables" / "variables.index").write_text(content)
    return folder


def content(folder: Path) -> str:
    graph, index = (folder / "saved_model.pb").read_text(), (folder / "variables" / "variables.index").read_text()
    assert graph == index
    return graph


def left_beside(destination: Path) -> list[str]:
    return sorted(p.name for p in destination.parent.iterdir() if p != destination)


def stage_and_fail(destination: Path, error: BaseException, *, keep_failed: bool = False) -> None:
    with staging(destination, keep_failed=keep_failed) as folder:
        export(folder, "failed")
        raise error


def killed(destination: Path) -> None:
    """Leaves what a run leaves that is killed while it writes."""
    pid = os.fork()
    if pid == 0:
        context = staging(destination)
        context.__enter__()
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)


def test_without_a_destination_the_next_version_is_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert choose_destination(None, "bert", overwrite=False) == Path("exported/bert/1")
    for name in ("1", "9", "10", "latest", ".12.staging-1"):
        (tmp_path / "exported" / "bert" / name).mkdir(parents=True)
    assert choose_destination(None, "bert", overwrite=False) == Path("exported/bert/11")
    assert choose_destination(None, "other", overwrite=False) == Path("exported/other/1")


def test_an_existing_destination_is_refused_without_overwrite(tmp_path):
    export(tmp_path / "1", "old")
    with pytest.raises(UsageError, match="exists already") as caught:
        choose_destination(tmp_path / "1", "bert", overwrite=False)
    assert "overwrite=True" in caught.value.hint
    assert choose_destination(tmp_path / "1", "bert", overwrite=True) == tmp_path / "1"


def test_overwrite_removes_saved_models_and_empty_folders_only(tmp_path):
    (tmp_path / "empty").mkdir()
    assert choose_destination(tmp_path / "empty", "bert", overwrite=True) == tmp_path / "empty"
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("years of work")
    (tmp_path / "file").write_text("text")
    for name, why in (("thesis", "it has no saved_model"), ("file", "expected a folder to write, found a file")):
        with pytest.raises(UsageError, match=why):
            choose_destination(tmp_path / name, "bert", overwrite=True)


def test_a_destination_below_a_file_or_a_broken_link_is_refused_before_anything_is_made(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "broken").symlink_to(tmp_path / "nothing")
    for name, found in (("file", "a file"), ("broken", "a link to nothing")):
        for destination in (tmp_path / name / "1", tmp_path / name / "bert" / "1"):
            with pytest.raises(WriteError, match=f"expected {tmp_path / name} to be a folder, found {found}"):
                choose_destination(destination, "bert", overwrite=True)
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    assert choose_destination(tmp_path / "link" / "1", "bert", overwrite=False) == tmp_path / "link" / "1"


def test_a_staged_export_is_published_and_nothing_is_left_beside_it(tmp_path):
    destination = tmp_path / "served" / "bert" / "1"
    with staging(destination) as folder:
        assert folder.parents[1] == destination.parent
        assert folder.parent.name.startswith(".1.staging-")
        export(folder, "new")
        publish(folder, destination, overwrite=False)
    assert content(destination) == "new"
    assert left_beside(destination) == []


def test_overwriting_replaces_the_old_export_wholly(tmp_path):
    destination = export(tmp_path / "1", "old")
    (destination / "assets").mkdir()
    with staging(destination) as folder:
        publish(export(folder, "new"), destination, overwrite=True)
    assert content(destination) == "new"
    assert not (destination / "assets").exists()
    assert left_beside(destination) == []


def test_overwrite_also_publishes_where_nothing_stands(tmp_path):
    destination = tmp_path / "1"
    with staging(destination) as folder:
        publish(export(folder, "new"), destination, overwrite=True)
    assert content(destination) == "new"


def test_a_failure_removes_the_staged_export(tmp_path):
    destination = export(tmp_path / "1", "old")
    with pytest.raises(KeyboardInterrupt):
        stage_and_fail(destination, KeyboardInterrupt())
    assert content(destination) == "old"
    assert left_beside(destination) == []


def test_a_failure_keeps_the_staged_export_when_asked(tmp_path):
    destination = tmp_path / "1"
    with pytest.raises(ValueError, match="no parity"):
        stage_and_fail(destination, ValueError("no parity"), keep_failed=True)
    assert not destination.exists()
    (kept,) = tmp_path.glob("1.failed-*")
    assert content(kept) == "failed"


def test_an_export_that_was_kept_does_not_stand_in_the_way_of_the_next_conversion(tmp_path):
    """The next one may run in the same process, or under the same number: in a container it is always the same."""
    destination = tmp_path / "1"
    with pytest.raises(ValueError, match="no parity"):
        stage_and_fail(destination, ValueError("no parity"), keep_failed=True)
    with staging(destination) as folder:
        publish(export(folder, "new"), destination, overwrite=False)
    assert content(destination) == "new"


def test_a_destination_that_appeared_meanwhile_is_not_replaced(tmp_path):
    destination = tmp_path / "1"
    with staging(destination) as folder:
        export(folder, "new")
        export(destination, "somebody else's")
        with pytest.raises(WriteError, match="publishing"):
            publish(folder, destination, overwrite=False)
    assert content(destination) == "somebody else's"
    assert left_beside(destination) == []


def test_a_place_that_cannot_hold_a_folder_is_a_write_error(tmp_path):
    (tmp_path / "file").write_text("text")
    with pytest.raises(WriteError, match="making a staging folder"), staging(tmp_path / "file" / "1"):
        raise AssertionError("there is no folder to write into")


def test_staging_folders_of_killed_runs_are_removed_whatever_was_to_be_published(tmp_path):
    export(tmp_path / ".1.staging-notes", "mine")
    with staging(tmp_path / "1") as living:
        export(living, "half")
        killed(tmp_path / "2")
        assert len(list(tmp_path.glob(".?.staging-????????"))) == 2
        with staging(tmp_path / "3") as folder:
            assert set(tmp_path.iterdir()) == {living.parent, folder.parent, tmp_path / ".1.staging-notes"}
            assert content(living) == "half"


def test_a_signal_waits_until_both_of_two_exports_are_in_place(tmp_path, monkeypatch):
    tensors, texts = tmp_path / "bert" / "1", tmp_path / "bert_text" / "1"
    move = publishing._move
    monkeypatch.setattr(
        publishing, "_move", lambda *args, **kwargs: (os.kill(os.getpid(), signal.SIGINT), move(*args, **kwargs))
    )
    before = len(publishing.PUBLISHED)
    with pytest.raises(KeyboardInterrupt), staging(tensors) as first, staging(texts) as second:
        publish_together({export(first, "new"): tensors, export(second, "new text"): texts}, overwrite=False)
    assert (content(tensors), content(texts)) == ("new", "new text")
    assert publishing.PUBLISHED[before:] == [tensors, texts]


def test_without_renameat2_two_renames_do(tmp_path, monkeypatch):
    class Libc:
        pass

    monkeypatch.setattr("surgery.export.publish.ctypes.CDLL", lambda *args, **kwargs: Libc())
    destination = export(tmp_path / "1", "old")
    with staging(destination) as folder:
        publish(export(folder, "new"), destination, overwrite=True)
    assert content(destination) == "new"
    assert left_beside(destination) == []


@pytest.fixture
def pair(tmp_path):
    """`pair(overwrite)` stages two exports and publishes them together; the two destinations are what it returns."""
    destinations = tmp_path / "bert" / "1", tmp_path / "bert_text" / "1"

    def run(*, overwrite: bool) -> None:
        with staging(destinations[0]) as first, staging(destinations[1]) as second:
            exports = {export(first, "new"): destinations[0], export(second, "new text"): destinations[1]}
            publish_together(exports, overwrite=overwrite)

    return run, *destinations


def test_two_exports_are_published_together(pair):
    run, tensors, texts = pair
    run(overwrite=False)
    assert (content(tensors), content(texts)) == ("new", "new text")
    run(overwrite=True)
    assert left_beside(tensors) == left_beside(texts) == []


@pytest.mark.parametrize("renameat2", [True, False])
def test_where_the_second_of_two_cannot_be_published_the_first_is_not_either(pair, renameat2, monkeypatch):
    if not renameat2:
        monkeypatch.setattr("surgery.export.publish.ctypes.CDLL", lambda *args, **kwargs: object())
    run, tensors, texts = pair
    export(texts, "somebody else's")
    with pytest.raises(WriteError, match=r"publishing .*bert_text"):
        run(overwrite=False)
    assert not tensors.exists()
    assert content(texts) == "somebody else's"
    assert left_beside(texts) == []


@pytest.mark.parametrize("renameat2", [True, False])
def test_where_the_second_of_two_cannot_be_replaced_both_old_ones_stay(pair, renameat2, monkeypatch):
    if not renameat2:
        monkeypatch.setattr("surgery.export.publish.ctypes.CDLL", lambda *args, **kwargs: object())
    run, tensors, texts = pair
    export(tensors, "old")
    export(texts, "old text")
    exchange = publishing._exchange

    def refuse(staged, destination):
        if destination == texts:
            raise OSError(28, os.strerror(28), str(destination))
        exchange(staged, destination)

    monkeypatch.setattr(publishing, "_exchange", refuse)
    with pytest.raises(WriteError, match=r"publishing .*bert_text.*No space left"):
        run(overwrite=True)
    assert (content(tensors), content(texts)) == ("old", "old text")
    assert left_beside(tensors) == left_beside(texts) == []


LOOP = """
    import sys, itertools
    from pathlib import Path
    from surgery.export.publish import publish, staging
    destination = Path(sys.argv[1])
    for number in itertools.count():
        with staging(destination) as folder:
            (folder / "variables").mkdir(parents=True)
            for name in ("saved_model.pb", "variables/variables.index"):
                (folder / name).write_text(f"new {number}")
            publish(folder, destination, overwrite=True)
        print(number, flush=True)
"""


def test_a_process_killed_while_it_publishes_leaves_a_whole_export(tmp_path):
    destination = export(tmp_path / "1", "old")
    for delay in (0.0, 0.002, 0.005, 0.009, 0.013):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(LOOP), str(destination)], stdout=subprocess.PIPE, text=True
        )
        process.stdout.readline()
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert content(destination).startswith("new ")
    with staging(destination) as folder:
        export(folder, "last")
        publish(folder, destination, overwrite=True)
    assert content(destination) == "last"
    assert left_beside(destination) == []


def test_a_reader_never_meets_a_destination_that_is_not_there(tmp_path):
    destination = export(tmp_path / "1", "old")
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(LOOP), str(destination)], stdout=subprocess.PIPE, text=True
    )
    process.stdout.readline()
    try:
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            assert (destination / "saved_model.pb").exists()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
