"""What is run, and what is not: a marker file proves it, and a trace of system calls."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest
import tensorflow as tf

import surgery
from surgery.beam.handler import SavedModelHandler
from surgery.errors import UntrustedError
from surgery.scanning.gate import clear_folder
from surgery.tf.loading import loaded_objects
from surgery.tf.session import SavedModelSession
from surgery.triton.model import TritonPythonModel
from tests.support.graph_taps import MODELS
from tests.support.hostile import hostile_copy
from tests.support.running import environment

NAME = "g3_small"
TOKENS = {name: np.ones([1, 4], np.int32) for name in ("input_word_ids", "input_mask", "input_type_ids")}


pytestmark = pytest.mark.usefixtures("short_battery")


@pytest.fixture
def marker(tmp_path):
    return tmp_path / "written"


def outputs(folder):
    with SavedModelSession(clear_folder(folder, trust=True), ["serve"]) as session:
        return session.signature("serving_default")(TOKENS)


def test_the_marker_is_written_by_a_module_that_is_trusted(modules, marker, tmp_path):
    outputs(hostile_copy(modules(NAME), tmp_path / "calls", marker))
    assert marker.read_text() == "here"


def test_a_modules_own_restore_operation_is_never_run(modules, marker, tmp_path):
    bad = hostile_copy(modules(NAME), tmp_path / "restores", marker, restoring=True)
    expected, found = outputs(modules(NAME)), outputs(bad)
    assert all(np.array_equal(expected[key], found[key]) for key in expected)
    assert surgery.convert(bad, tmp_path / "out" / "1", trust=True).report.passed
    assert not marker.exists()


def test_neither_is_that_of_tensorflow_1(marker, tmp_path):
    plain = MODELS["reference_variables"](tmp_path / "plain")
    bad = hostile_copy(plain, tmp_path / "restores", marker, restoring=True)
    answers = []
    for folder in (plain, bad):
        with loaded_objects(clear_folder(folder, trust=True)) as loaded:
            answers.append(loaded.signatures["serving_default"](x=tf.ones([1, 4]))["y"].numpy())
    assert np.array_equal(*answers)
    assert not marker.exists()


def test_a_worker_and_a_server_process_refuse(modules, marker, tmp_path, monkeypatch):
    bad = hostile_copy(modules(NAME), tmp_path / "calls", marker)
    with pytest.raises(UntrustedError, match="planted"):
        SavedModelHandler(bad).load_model()
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", ModuleType("triton_python_backend_utils"))
    given = {"saved_model": str(bad), "tags": '["serve"]', "signature": "serving_default", "threads": "0", "trust": ""}
    config = {"parameters": {key: {"string_value": value} for key, value in given.items()}}
    with pytest.raises(UntrustedError, match="planted"):
        TritonPythonModel().initialize({"model_config": json.dumps(config)})
    assert not marker.exists()


OPENED = re.compile(r'open(?:at)?\((?:AT_FDCWD, )?"([^"]+)", ([A-Z_|]+)')
CHANGED = re.compile(r'(?:rename|unlink|mkdir|symlink|link|creat)(?:at2?)?\(.*"([^"]+)"')
WRITES = re.compile(r"O_(WRONLY|RDWR|CREAT|TRUNC)")


def traced(module, folder):
    """The paths that a conversion opens and those that it writes, without the numbers in temporary names."""
    folder.mkdir()
    (folder / "scratch").mkdir()
    log = folder / "trace"
    command = [sys.executable, "-B", "-m", "surgery", "convert", str(module), str(folder / "out" / "1")]
    trace = [
        "strace",
        "-f",
        "-qq",
        "-e",
        "trace=open,openat,creat,rename,renameat2,unlink,mkdir,symlink",
        "-o",
        str(log),
    ]
    done = subprocess.run(
        [*trace, *command], env={**environment(), "TMPDIR": str(folder / "scratch")}, capture_output=True, text=True
    )
    lines = log.read_text(errors="replace").splitlines()
    opened = {match[1]: match[2] for line in lines if (match := OPENED.search(line)) and " = -1" not in line}
    written = {path for path, flags in opened.items() if WRITES.search(flags)}
    written |= {match[1] for line in lines if (match := CHANGED.search(line)) and " = -1" not in line}
    own = (str(folder), str(module))
    return (
        done.returncode,
        {path for path in opened if not path.startswith(own)},
        {path for path in written if not path.startswith((str(folder), "/dev/", "/proc/"))},
    )


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_a_refused_module_opens_nothing_and_a_conversion_writes_only_where_it_shall(modules, marker, tmp_path):
    bad = hostile_copy(modules(NAME), tmp_path / "calls", marker)
    refused, opened, written = traced(bad, tmp_path / "refused")
    converted, usual, elsewhere = traced(modules(NAME), tmp_path / "converted")
    assert (refused, converted) == (7, 0)
    assert {path for path in opened - usual if not path.startswith("/proc/")} == set()
    assert (written, elsewhere) == (set(), set())
    assert not marker.exists()
