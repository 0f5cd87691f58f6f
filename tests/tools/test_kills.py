"""scripts/kills: which states of a destination pass, and that a conversion that leaves something does not."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scripts.tools.kills import __main__ as kills
from scripts.tools.kills import trial
from scripts.tools.kills.scenarios import ABSENT, MARK, NEW, OLD, SCENARIOS, digests, state
from tests.support.running import environment

WEIGHTS = "variables/variables.data-00000-of-00001"


def test_a_destination_is_absent_old_or_whole_and_new_and_nothing_else_passes(modules, tmp_path):
    folder = tmp_path / "1"
    whole = digests(modules("g3_small"))
    assert state(folder, whole) == ABSENT
    shutil.copytree(modules("g3_small"), folder)
    assert state(folder, whole) == NEW
    (folder / MARK).write_text("old\n")
    assert state(folder, whole) == OLD
    (folder / MARK).unlink()
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-1] + b"?")
    assert WEIGHTS in state(folder, whole)
    (folder / WEIGHTS).unlink()
    assert WEIGHTS in state(folder, whole)


@pytest.mark.parametrize(
    ("leaves", "fault"), [("", None), ("tmp/left", "it left left"), ("out/bert/.1.x", "it left .1.x")]
)
def test_what_a_stopped_conversion_leaves_is_a_fault(leaves, fault, modules, tmp_path, monkeypatch):
    def run(arguments, folder, number=None, after=0.0):
        export = folder / "out" / "bert" / "1"
        if number is None:
            shutil.copytree(modules("g3_small"), export)
            return trial.Ended(code=0, seconds=1.0, said="")
        export.parent.mkdir(parents=True, exist_ok=True)
        if leaves:
            (folder / leaves).write_text("x")
        return trial.Ended(code=143, seconds=0.5, said="stopped by SIGTERM: nothing was published")

    monkeypatch.setattr(trial, "run", run)
    course = kills.Course(SCENARIOS[0], tmp_path / "course", modules("g3_small"))
    course.kill(signal.SIGTERM, 0.5)
    assert [fault in found for found in course.faults] == ([True] if fault else [])
    course.finish()
    assert bool(course.faults) == bool(fault)


def test_a_process_is_ended_by_the_signal_at_its_time_and_its_temporary_files_lie_apart(tmp_path):
    (tmp_path / "tmp").mkdir()
    code = (
        "import sys, time, click, tempfile\n"
        "from pathlib import Path\n"
        "from scripts.tools.kills import trial\n"
        "from surgery.cli.main import main\n"
        "main.command('wait')(lambda: (print(tempfile.gettempdir(), flush=True), time.sleep(60)))\n"
        "print(trial.run(['wait'], Path(sys.argv[1]), 15, 0.5).code)\n"
    )
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, env=environment(), check=True
    )
    assert done.stdout == "143\n"
    assert time.monotonic() - started < 50
    said = Path(tmp_path / "said.txt").read_text().splitlines()
    assert said == [os.fspath(tmp_path / "tmp"), "stopped by SIGTERM: nothing was published"]
