"""What TensorFlow finds when a command imports it: no optional packages, and the system's allocator."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from surgery.cli.starting import OPTIONAL, SYSTEM_ALLOCATOR
from tests.support.running import environment

PROGRAM = f"""
import importlib, json, os, sys
from surgery.cli import main
main.go_on_in_child = lambda: None
main.main = lambda: None
main.command()
def found(name):
    try:
        return bool(importlib.import_module(name))
    except ImportError:
        return False
print(json.dumps([os.environ.get({SYSTEM_ALLOCATOR!r}), *(name for name in {OPTIONAL!r} if found(name))]))
"""


def started(command: str, **variables: str) -> list[str | None]:
    """The allocator that a command asks for, and the packages that it leaves in."""
    own = {**environment(), **variables}
    done = subprocess.run([sys.executable, "-c", PROGRAM, command], capture_output=True, text=True, env=own, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("command", ["convert", "verify"])
def test_commands_that_prove_something_leave_them_out_and_keep_no_freed_memory(command):
    assert started(command) == ["1"]


@pytest.mark.parametrize("command", ["extract", "inspect"])
def test_others_start_it_as_it_is(command):
    assert started(command) == [None, *OPTIONAL]


def test_a_variable_that_is_set_stays():
    assert started("convert", **{SYSTEM_ALLOCATOR: "0"}) == ["0"]
