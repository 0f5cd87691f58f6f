"""How a command ends when something breaks: a defect, a full disk or a closed pipe behind stdout, a dead process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

import surgery
from surgery.cli.main import main
from tests.support.running import environment

COMMAND = [sys.executable, "-m", "surgery"]
DYING = """
import os, signal, sys, time, surgery
from surgery.cli.main import command

def die(*_, **__):
    print("started", flush=True)
    os.kill(os.getpid(), int(sys.argv.pop())) if sys.argv[-1].isdigit() else time.sleep(60)

surgery.convert = die
command()
"""


def run(*arguments: object):
    return CliRunner().invoke(main, list(map(str, arguments)))


def test_a_defect_is_reported_without_a_stack_and_with_one_where_it_is_asked_for(monkeypatch):
    monkeypatch.setattr(surgery, "inspect", lambda module: {}["a key"])
    monkeypatch.setattr("sys.argv", ["surgery", "inspect", "a module"])
    done = run("inspect", "m")
    assert done.exit_code == 1
    assert "a defect of surgery 0.1.0: KeyError: 'a key', at " in done.stderr
    assert "please report these lines" in done.stderr
    assert "the command: surgery inspect 'a module'" in done.stderr
    assert "Traceback" not in done.stderr
    monkeypatch.setenv("SURGERY_TRACEBACK", "1")
    assert "Traceback (most recent call last)" in run("inspect", "m").stderr


@pytest.mark.parametrize("arguments", [("--help",), ("inspect", "--help"), ("plan", "MODULE")], ids=" ".join)
def test_a_full_disk_behind_stdout_is_an_error_and_a_closed_pipe_is_none(arguments, modules):
    command = [*COMMAND, *(str(modules("g3_small")) if word == "MODULE" else word for word in arguments)]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment(), check=False)
    assert done.returncode == 6
    assert done.stderr.startswith("error: writing the result to stdout: No space left on device")
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, env=environment(), check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_limits_are_raised_by_an_option(modules):
    folder = modules("g3_small")
    done = run("inspect", folder, "--limit", "call_depth=1")
    assert done.exit_code == 3
    assert "the limit call_depth is 1 calls" in done.stderr
    raised = done.stderr.partition("raise the limit: ")[2].split()
    assert run("inspect", folder, *raised).exit_code == 0
    assert run("inspect", folder, "--limit", "depth=1").exit_code == 2
    assert run("inspect", folder, "--limit", "files=many").exit_code == 2


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGKILL])
def test_a_process_that_ends_without_a_word_is_an_error(number, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", DYING, "convert", "m", str(int(number))],
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    assert done.returncode == 3
    assert done.stderr.startswith("error: running the command: ")
    assert number.name in done.stderr


def test_a_process_that_aborts_because_of_a_signal_was_stopped_by_it():
    code = """if True:
        import os, time, surgery
        from surgery.cli.main import command
        def abort(*_, **__):
            try:
                print("started", flush=True)
                time.sleep(60)
            except BaseException:
                os.abort()
        surgery.convert = abort
        command()
    """
    program = [sys.executable, "-c", code, "convert", "m"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(program, **pipes, text=True, env=environment()) as command:
        assert command.stdout.readline() == "started\n"
        command.send_signal(signal.SIGINT)
        assert command.wait(10) == 130
        assert "stopped by Ctrl-C: the destination is as it was, or whole and new\n" in command.stderr.read()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_process_that_runs_a_module_ends_with_the_command(number):
    program = [sys.executable, "-c", DYING, "convert", "m"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, env=environment()) as command:
        assert command.stdout.readline() == "started\n"
        command.send_signal(number)
        assert command.wait(10) != 0
        began = time.monotonic()
        assert command.stdout.read() == ""  # the pipe ends when nobody holds it
        assert time.monotonic() - began < 10
