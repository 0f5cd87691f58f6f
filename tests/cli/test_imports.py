"""Commands that start TensorFlow do not import the optional packages that it would take along."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from surgery.cli.imports import OPTIONAL
from surgery.cli.main import RUNNING
from tests.support.running import environment

PROGRAM = f"""
import importlib, json, sys
from surgery.cli import main
main.go_on_in_child = lambda: None
main.main = lambda: None
main.command()
def found(name):
    try:
        return bool(importlib.import_module(name))
    except ImportError:
        return False
print(json.dumps([name for name in {OPTIONAL!r} if found(name)]))
"""


@pytest.mark.parametrize("command", ["convert", "extract", "inspect"])
def test_only_what_runs_a_module_without_beam_leaves_them_out(command):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, command], capture_output=True, text=True, env=environment(), check=True
    )
    left_out = command in RUNNING - {"extract"}
    assert json.loads(done.stdout) == ([] if left_out else list(OPTIONAL))
