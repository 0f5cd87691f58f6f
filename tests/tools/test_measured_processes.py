"""The processes that the benchmark measures."""

from __future__ import annotations

import sys

from scripts.tools.benchmark.processes import run
from tests.support.running import ROOT


def test_a_measured_process_writes_byte_code_so_that_the_next_one_compiles_nothing(monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    assert run([sys.executable, "-c", "import sys; print(sys.dont_write_bytecode)"], ROOT).output == "False\n"
