"""Child processes end with their parent, also when it is killed before they have begun."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from surgery import child
from tests.support.running import environment

PARENT = """
import subprocess, sys
from surgery import child
process = subprocess.Popen(child.command(sys.argv[1]))
print(process.pid, flush=True)
process.wait()
"""
PROGRAM = """
import pathlib, sys, time
pathlib.Path(__file__).with_suffix(".started").touch()
time.sleep(60)
"""


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition, seconds=20.0) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def test_a_child_ends_when_its_parent_is_killed(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(program)], stdout=subprocess.PIPE, text=True, env=environment()
    )
    pid = int(parent.stdout.readline())
    assert wait_until(program.with_suffix(".started").exists)
    assert runs(pid)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert wait_until(lambda: not runs(pid))


def test_a_child_whose_parent_was_killed_before_it_started_runs_nothing(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    command = child.command(str(tmp_path / "program.py"))
    command[2] = str(os.getpid() + 1)  # the process that started it is not the parent that it shall have
    assert subprocess.run(command, check=False, timeout=30).returncode == child.ORPHANED
    assert not (tmp_path / "program.started").exists()


def test_a_module_is_run_as_python_runs_it_without_the_current_folder_or_that_of_surgery_on_its_path(tmp_path):
    (tmp_path / "json.py").write_text("raise SystemExit('the folder in which the command was typed')")
    program = tmp_path / "apart" / "shows_path.py"
    program.parent.mkdir()
    program.write_text("import json, sys\nprint(json.dumps([sys.argv[1:], sys.path]))")
    for arguments, folder in ((["-m", "shows_path"], program.parent), ([str(program)], tmp_path / "nowhere")):
        done = subprocess.run(
            child.command(*arguments, "x"),
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=True,
            env={**environment(), "PYTHONPATH": str(folder)},
        )
        given, path = json.loads(done.stdout)
        assert given == ["x"]
        assert not {"", str(tmp_path), str(Path(child.__file__).parent)} & set(path)


def test_a_child_ends_when_the_file_of_its_command_line_is_gone(tmp_path):
    program, file = tmp_path / "program.py", tmp_path / "running"
    program.write_text(PROGRAM)
    file.touch()
    process = subprocess.Popen(child.command("--while", str(file), str(program)))
    assert wait_until(program.with_suffix(".started").exists)
    file.unlink()
    assert process.wait(20) == child.ORPHANED
