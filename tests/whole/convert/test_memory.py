"""A process that converts again and again, as a server does, does not grow."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.support.running import environment

CONVERSIONS = 6
LEFT = 2.5
"""Megabytes that a conversion may leave behind."""
PROGRAM = """
import gc, json, sys
from pathlib import Path
from surgery.jobs.convert import convert_module
from surgery.proof.battery import make_battery

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6

sizes = []
for number in range(int(sys.argv[3])):
    convert_module(sys.argv[1], Path(sys.argv[2]) / str(number + 1), battery=lambda sizes: make_battery(sizes)[:3])
    gc.collect()
    sizes.append(resident())
print(json.dumps(sizes))
"""


def test_conversions_in_one_process_leave_nothing_behind(modules, tmp_path):
    """In megabytes. The first two still import and allocate what all later ones use again."""
    command = [sys.executable, "-c", PROGRAM, str(modules("g3_small")), str(tmp_path), str(CONVERSIONS)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False, timeout=1200)
    assert done.returncode == 0, done.stderr
    sizes = json.loads(done.stdout.splitlines()[-1])
    assert len(sizes) == CONVERSIONS
    assert sizes[-1] - sizes[1] < LEFT * (CONVERSIONS - 2), sizes
