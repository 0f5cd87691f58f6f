"""A command that a signal stops: it cleans up, says what it had published, and exits with the documented code."""

from __future__ import annotations

import os
import signal
import tempfile

import pytest
from click.testing import CliRunner

import surgery
from surgery.cli.main import Main, main
from surgery.export.publish import publish, staging
from surgery.processes.scratch import scratch_folder
from surgery.processes.signals import Stopped, before_signals, raised_as_exceptions


@pytest.mark.parametrize(
    ("number", "name", "code"), [(signal.SIGINT, "Ctrl-C", 130), (signal.SIGTERM, "SIGTERM", 143), (1, "SIGHUP", 129)]
)
@pytest.mark.parametrize("when", ["before", "at", "after"])
def test_a_signal_cleans_up_and_says_what_was_published(number, name, code, when, tmp_path, monkeypatch):
    def convert(module, destination, **_):
        with scratch_folder() as scratch, staging(destination) as folder:
            for path in (scratch, folder):
                (path / "saved_model.pb").write_text("new")
            if when == "before":
                os.kill(os.getpid(), number)
            if when == "at":
                rename = os.rename
                monkeypatch.setattr(os, "rename", lambda *paths: (os.kill(os.getpid(), number), rename(*paths)))
            publish(folder, destination, overwrite=False)
            os.kill(os.getpid(), number)

    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr(surgery, "convert", convert)
    destination = tmp_path / "out" / "1"
    done = CliRunner().invoke(main, ["convert", "module", str(destination)])
    assert done.exit_code == code
    said = "nothing was published" if when == "before" else f"before that, it published {destination}"
    assert done.stderr == f"stopped by {name}: {said}\n"
    assert list((tmp_path / "temporary").iterdir()) == []
    left = [path.name for path in tmp_path.rglob("*")]
    assert sorted(left) == sorted(["temporary", *([] if when == "before" else ["out", "1", "saved_model.pb"])])
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_that_tensorflow_turns_into_another_exception_is_no_defect(number, code, monkeypatch):
    def convert(*_, **__):
        try:
            os.kill(os.getpid(), number)
        except BaseException as error:
            raise RuntimeError("Exception encountered when calling layer") from error

    def fail(*_, **__):
        raise KeyError("a key")

    monkeypatch.setattr(surgery, "convert", convert)
    monkeypatch.setattr(surgery, "verify", fail)
    done = CliRunner().invoke(main, ["convert", "module"])
    assert done.exit_code == code
    assert done.stderr.endswith(": nothing was published\n")
    assert "defect" not in done.stderr
    later = CliRunner().invoke(main, ["verify", "module", "export"])
    assert later.exit_code == 1
    assert "a defect of surgery" in later.stderr


def test_a_signal_before_the_command_is_known_ends_it_in_the_same_way(monkeypatch):
    monkeypatch.setattr(Main, "parse_args", lambda *_: os.kill(os.getpid(), signal.SIGINT))
    done = CliRunner().invoke(main, ["convert", "module"])
    assert (done.exit_code, done.stderr) == (130, "stopped by Ctrl-C: nothing was published\n")


def test_a_signal_that_is_ignored_stays_ignored(monkeypatch):
    """As nohup ignores SIGHUP."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    monkeypatch.setattr(surgery, "convert", lambda *_, **__: os.kill(os.getpid(), signal.SIGHUP))
    try:
        assert "stopped" not in CliRunner().invoke(main, ["convert", "module"]).stderr
    finally:
        signal.signal(signal.SIGHUP, before)


def test_an_action_comes_before_what_a_signal_raises():
    done = []
    with pytest.raises(Stopped), raised_as_exceptions(), before_signals(lambda: done.append("workers ended")):
        os.kill(os.getpid(), signal.SIGTERM)
    assert done == ["workers ended"]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
