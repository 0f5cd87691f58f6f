"""Whatever happens during a conversion, the destination is as it was or holds a verified export."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import surgery
from surgery.cli.main import main
from surgery.export.weights import Weights
from surgery.processes.scratch import scratch_folder
from tests.support.builders.common import PACKED
from tests.support.running import ROOT
from tests.support.tampering import contents

pytestmark = pytest.mark.usefixtures("short_battery")

NAME = "one_block"
"""What is staged, published and cleaned up does not depend on how large the encoder is."""


@pytest.fixture
def broken(monkeypatch):
    """Makes every conversion fail its parity at the very end: no output shows this weight, its hash does."""
    original = Weights.value

    def value(self, target):
        array = original(self, target)
        return np.zeros_like(array) if target == "transformer/layer_0/self_attention/key/bias" else array

    monkeypatch.setattr(Weights, "value", value)


def old_export(folder):
    (folder / "assets").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"the old one")
    (folder / "assets" / "vocab.txt").write_text("old\n")
    return folder


def test_a_destination_that_exists_is_refused_before_anything_starts(source, tmp_path):
    destination, steps = old_export(tmp_path / "1"), []
    before = contents(destination)
    with pytest.raises(surgery.UsageError, match="exists already"):
        surgery.convert(source(NAME), destination, progress=lambda step, *_: steps.append(step))
    assert steps == []
    assert contents(destination) == before


def test_the_command_line_refuses_a_destination_that_exists_without_starting_tensorflow(source, tmp_path):
    code = (
        "import sys\n"
        "from surgery.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "except SystemExit as end:\n    print(end.code, 'tensorflow' in sys.modules)\n"
    )
    command = [sys.executable, "-c", code, "convert", str(source(NAME)), str(old_export(tmp_path / "1"))]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "2 False\n"
    assert "--overwrite" in done.stderr


def test_a_folder_that_is_no_export_is_never_overwritten(source, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "todo.txt").write_text("keep me")
    with pytest.raises(surgery.UsageError, match="has no saved_model"):
        surgery.convert(source(NAME), tmp_path / "notes", overwrite=True)
    assert contents(tmp_path / "notes") == {"todo.txt": b"keep me"}


def test_overwriting_replaces_the_old_export_whole(source, tmp_path):
    destination = old_export(tmp_path / "out" / "1")
    (destination / "left-over.txt").write_text("old")
    assert surgery.convert(source(NAME), destination, overwrite=True).report.passed
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["1"]
    assert (destination / "saved_model.pb").stat().st_size > 1000
    assert not (destination / "left-over.txt").exists()


def test_a_failed_conversion_leaves_the_old_export_byte_for_byte(source, tmp_path, broken):
    destination = old_export(tmp_path / "out" / "1")
    before = contents(destination)
    with pytest.raises(surgery.ParityError):
        surgery.convert(source(NAME), destination, overwrite=True)
    assert contents(destination) == before
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["1"]


def test_a_failed_export_is_kept_when_asked_for_and_the_message_says_where(source, tmp_path, broken):
    with pytest.raises(surgery.ParityError) as caught:
        surgery.convert(source(NAME), tmp_path / "out" / "1", keep_failed=True)
    (kept,) = (tmp_path / "out").iterdir()
    assert kept.name.startswith("1.failed-")
    assert str(kept) in str(caught.value)
    assert surgery.inspect(kept).inference.architecture["hidden_size"] == 16
    assert not surgery.verify(source(NAME), kept).report.passed


def test_a_conversion_that_fails_twice_is_kept_twice_over_in_one_process(source, tmp_path, broken):
    for _ in range(2):
        with pytest.raises(surgery.ParityError):
            surgery.convert(source(NAME), tmp_path / "out" / "1", keep_failed=True)
    assert not (tmp_path / "out" / "1").exists()


def test_where_nothing_was_written_nothing_is_kept(source, tmp_path, monkeypatch):
    original = Weights.value
    monkeypatch.setattr(Weights, "value", lambda self, target: np.zeros_like(original(self, target)))
    with pytest.raises(surgery.ParityError, match="nothing was written"):
        surgery.convert(source(NAME), tmp_path / "out" / "1", keep_failed=True)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("step", ["run the module", "write the SavedModel", "run the export", "publish"])
def test_an_interrupt_at_any_step_leaves_nothing(step, source, tmp_path):
    def interrupt(at, done, total):
        if at == step and done == total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        surgery.convert(source(NAME), tmp_path / "out" / "1", progress=interrupt)
    assert not (tmp_path / "out").exists()


KILLED = """
import os, signal, sys
import surgery
from surgery.processes import scratch

def kill(step, done, total):
    if step == "run the export" and done == 1:
        os.kill(os.getpid(), signal.SIGKILL)

with scratch.holding_temporary_files():
    surgery.convert(sys.argv[1], sys.argv[2], progress=kill)
"""


def test_a_killed_conversion_leaves_no_destination_and_the_next_one_cleans_up(tmp_path, monkeypatch):
    """It leaves a staged export, an unpacked archive, and code that TensorFlow has generated."""
    archive, destination, temporary = PACKED / "g4_bert_dropouts.tar.gz", tmp_path / "out" / "1", tmp_path / "temporary"
    temporary.mkdir()
    command = [sys.executable, "-c", KILLED, str(archive), str(destination)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT, env={**os.environ, "TMPDIR": str(temporary)}
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    (left,) = (tmp_path / "out").iterdir()
    assert left.name.startswith(".1.staging-")
    assert (left / "content" / "saved_model.pb").is_file()
    assert len(list(temporary.iterdir())) == 2
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    with scratch_folder() as folder:
        assert list(temporary.iterdir()) == [folder.parent]
    surgery.convert(archive, destination)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["1"]


@pytest.fixture
def disk_full():
    """Limits the size of every file that this process writes; TensorFlow's writers then fail as on a full disk."""
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, ignored)


def test_a_full_disk_is_a_write_error_and_leaves_nothing(source, tmp_path, disk_full):
    disk_full(100_000)
    with pytest.raises(surgery.WriteError) as caught:
        surgery.convert(source(NAME), tmp_path / "out" / "1")
    assert "free space" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_disk_that_fills_up_at_the_manifest_is_a_write_error(source, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(surgery.WriteError, match="No space left"):
        surgery.convert(source(NAME), tmp_path / "out" / "1")
    assert not (tmp_path / "out").exists()


def test_a_destination_below_a_file_is_a_write_error_and_exits_with_6(source, tmp_path):
    (tmp_path / "file").write_text("x")
    steps = []
    with pytest.raises(surgery.WriteError, match=r"expected .*/file to be a folder, found a file"):
        surgery.convert(source(NAME), tmp_path / "file" / "1", progress=lambda step, *_: steps.append(step))
    assert steps == []
    done = CliRunner().invoke(main, ["convert", str(source(NAME)), str(tmp_path / "file" / "1")])
    assert done.exit_code == 6
    assert (tmp_path / "file").read_text() == "x"


def test_a_destination_that_appears_meanwhile_is_not_replaced(source, tmp_path):
    destination = tmp_path / "out" / "1"

    def intrude(step, done, total):
        if step == "publish":
            old_export(destination)

    with pytest.raises(surgery.WriteError, match="publishing"):
        surgery.convert(source(NAME), destination, progress=intrude)
    assert (destination / "saved_model.pb").read_bytes() == b"the old one"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["1"]


def test_the_module_itself_is_not_touched(source, tmp_path):
    before = contents(source(NAME))
    surgery.convert(source(NAME), tmp_path / "1")
    assert contents(source(NAME)) == before
