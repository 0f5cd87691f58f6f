"""With --json a failure is one line of JSON on stderr, and stdout stays empty: a pipe never takes it for a result."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner

import surgery
from surgery.cli.main import main
from tests.support import documents
from tests.support.builders.common import PACKED
from tests.support.running import environment

ARCHIVE = str(PACKED / "g3_small.tar.gz")


def run(*arguments: str):
    return CliRunner().invoke(main, list(arguments))


@pytest.mark.parametrize(
    ("arguments", "kind", "message", "hint"),
    [
        (["inspect", "nothing"], "ModuleError", "opening nothing: there is no such folder", "give the folder"),
        (["plan", ARCHIVE, "--layers", "9"], "UsageError", "--layers 9: there is no block 9", None),
        (["inspect", ARCHIVE, "--signature", "x"], "UsageError", "has no such signature", "it has serving_default"),
        (["inspect"], "UsageError", "Missing argument 'MODULE'", "inspect --help"),
        (["inspect", ARCHIVE, "b\x1b[2J"], "UsageError", "unexpected extra argument", "inspect --help"),
        (["taps", ARCHIVE, "--batch", "none"], "UsageError", "'--batch'", "taps --help"),
        (["plan", ARCHIVE, "--limit", "nothing=3"], "UsageError", "--limit nothing=3", "the limits are"),
        (["frobnicate"], "UsageError", "No such command 'frobnicate'", "--help"),
        (["inspct"], "UsageError", "No such command 'inspct': did you mean inspect?", "--help"),
        (["--nothing"], "UsageError", "No such option '--nothing'", "--help"),
        (["convert", ARCHIVE, str(PACKED)], "UsageError", "exists", "--overwrite"),
        (["serving", "nothing"], "ModuleError", "in this folder, and there is no such folder", "an export"),
        (["serving", ARCHIVE], "ModuleError", "it is a file, expected a folder", "must be unpacked"),
    ],
    ids=lambda value: " ".join(value)[-30:].replace("\x1b", "") if isinstance(value, list) else "",
)
def test_an_error_is_one_line_of_json_with_the_same_exit_code(arguments, kind, message, hint):
    in_words, done = run(*arguments), run(*arguments, "--json")
    assert (done.exit_code, done.stdout) == (in_words.exit_code, "")
    (line,) = done.stderr.splitlines()
    document = json.loads(line)
    assert documents.difference("error", [document]) == (set(), set())
    error = document["error"]
    assert (document["schema"], error["code"], error["type"]) == (1, done.exit_code, kind)
    assert message in error["message"]
    assert "what to do" not in error["message"]
    assert hint is None or hint in error["hint"]
    assert not line.startswith("\x1b")
    assert "\x1b" not in line


def test_without_json_nothing_has_changed():
    assert run("inspect", "nothing").stderr.startswith("error: opening nothing")
    assert run("frobnicate").stderr.startswith("Usage: ")
    assert run("graph", "nothing", "--match", "x").stderr.startswith("error: ")


def test_options_for_beam_are_no_options_of_surgery():
    assert run("extract", "a", "b", "--output", "c", "--", "--json").stderr.startswith("error: ")


def test_a_difference_prints_the_comparison_and_the_error(monkeypatch):
    verification = surgery.Verification(plan=surgery.plan(ARCHIVE), exported="out", report=documents.report(), notes=())
    monkeypatch.setattr(surgery, "verify", lambda *_, **__: verification)
    done = run("verify", ARCHIVE, "out", "--json")
    assert done.exit_code == 5
    assert json.loads(done.stdout)["parity"]["passed"] is False
    error = json.loads(done.stderr)["error"]
    assert (error["code"], error["type"]) == (5, "ParityError")
    assert "a/kernel" in error["message"]


@pytest.mark.parametrize(("number", "code", "name"), [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")])
def test_a_signal_is_told_in_the_same_form(number, code, name, monkeypatch):
    monkeypatch.setattr(surgery, "inspect", lambda *_, **__: os.kill(os.getpid(), number))
    done = run("inspect", ARCHIVE, "--json")
    assert (done.exit_code, done.stdout) == (code, "")
    assert json.loads(done.stderr)["error"] == {
        "code": code,
        "type": "Stopped",
        "message": f"stopped by {name}: nothing was published",
        "hint": None,
    }


def test_the_parent_of_a_command_that_runs_a_module_tells_it_too(tmp_path):
    """An abort of TensorFlow's native code ends the child; the parent has never seen the options."""
    code = (
        "import os, sys, surgery; from surgery.cli.main import command\n"
        "surgery.convert = lambda *_, **__: os.abort()\n"
        "command()"
    )
    command = [sys.executable, "-c", code, "convert", ARCHIVE, str(tmp_path / "out"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    assert (done.returncode, done.stdout) == (3, "")
    error = json.loads(done.stderr.splitlines()[-1])["error"]
    assert (error["code"], error["type"]) == (3, "ModuleError")
    assert "SIGABRT" in error["message"]
