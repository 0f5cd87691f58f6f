"""scripts/fuzz: 300 changed modules end in results or errors of surgery's, and the harness tells every other end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scripts.tools.fuzz import ends, index_tables, inputs, samples, trial
from surgery.errors import ModuleError
from tests.support.builders.common import PACKED
from tests.support.running import ROOT, environment

SMALL = ("g4_albert_dropout", "tf1_albert_small", "hf_albert", "hf_electra")
"""The smallest samples of each format."""


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed")
    for name in SMALL:
        (folder / f"{name}.tar.gz").symlink_to(PACKED / f"{name}.tar.gz")
    return folder


def test_300_changed_modules_end_in_a_result_or_an_error_of_surgery(packed, tmp_path):
    options = ["--inputs", "300", "--seed", "15", "--commands", "inspect", "scan", "--samples", packed]
    command = [sys.executable, "-m", "scripts.tools.fuzz", *map(str, options), "--kept", str(tmp_path / "kept")]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    cells = {line.split("|")[1].strip(): line.split("|")[2:-1] for line in done.stdout.splitlines() if "|" in line}
    assert sum(int(row[0]) for name, row in cells.items() if name not in ("outcome", "---")) == 300
    assert int(cells["result"][0]) > 50
    assert int(cells["ModuleError"][0]) > 50


def raises(error):
    def run(**_):
        raise error

    return run


def loops(**_):
    while True:
        pass


def ends_with_an_error(**_):
    try:
        raise ModuleError("damaged")
    except ModuleError:
        sys.exit(ModuleError.exit_code)


def has_a_defect(**_):
    try:
        raise KeyError("a key")
    except KeyError:
        sys.exit(1)


def runs_out_of_memory(**_):
    try:
        raise MemoryError
    except MemoryError:
        try:
            raise ModuleError("too large") from None
        except ModuleError:
            sys.exit(ModuleError.exit_code)


def goes_on_in_a_child(run):
    """A command that continues in a child process and exits as the child does."""

    def start(**_):
        child = os.fork()
        if child:
            sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        run()

    return start


@pytest.mark.parametrize(
    ("run", "outcome"),
    [
        (lambda **_: None, ends.RESULT),
        (lambda **_: sys.exit(0), ends.RESULT),
        (ends_with_an_error, "ModuleError"),
        (lambda **_: sys.exit(5), "ParityError"),
        (raises(KeyError("a key")), ends.OTHER),
        (has_a_defect, ends.OTHER),
        (runs_out_of_memory, ends.MEMORY),
        (goes_on_in_a_child(lambda: None), ends.RESULT),
        (goes_on_in_a_child(ends_with_an_error), "ModuleError"),
        (goes_on_in_a_child(raises(KeyError("a key"))), ends.OTHER),
        (goes_on_in_a_child(lambda: os._exit(6)), "WriteError"),
        (lambda **_: os.kill(os.getpid(), signal.SIGABRT), ends.SIGNAL),
        (lambda **_: os._exit(3), ends.SIGNAL),
        (loops, ends.CPU),
        (lambda **_: signal.pause(), ends.WALL),
        (lambda **_: Path("..", f"escaped-{time.monotonic()}").touch(), ends.ESCAPED),
    ],
)
def test_every_end_of_a_command_has_its_name(run, outcome, tmp_path, monkeypatch):
    monkeypatch.setattr("surgery.cli.main.command", run)
    limits = trial.Limits(cpu=1, wall=1 if outcome == ends.WALL else 60, memory=None, resident=1 << 40)
    (tmp_path / "area").mkdir()
    step = trial.Step(arguments=["inspect"], area=tmp_path / "area", report=tmp_path / "report.txt")
    endings = trial.run([step, step], limits)
    assert [ending.outcome for ending in endings] == [outcome] * 2, endings
    for ending in endings:
        assert ending.is_expected == (outcome in (ends.RESULT, "ModuleError", "ParityError", "WriteError"))


def test_the_same_seed_makes_the_same_input(packed, tmp_path):
    found = samples.unpack(packed, tmp_path / "samples")
    before = {path: path.read_bytes() for sample in found for path in sample.folder.rglob("*") if path.is_file()}
    seed, said, kinds = 3, [], set()
    for number in range(40):
        both = []
        for attempt in ("one", "two"):
            area = tmp_path / f"{number}-{attempt}"
            area.mkdir()
            made = inputs.make(seed, number, found, area)
            both.append((made.sample, made.kind, made.said))
        said.append(both[0])
        kinds.add(both[0][1])
        assert both[0] == both[1]
    assert len(set(said)) > 30
    assert kinds == set(inputs.KINDS)
    # Unchanged files of an input share the sample's bytes, which must not change with it.
    assert before == {path: path.read_bytes() for path in before}


def test_a_written_index_is_the_one_that_was_read(modules):
    from surgery.formats.checkpoint_index import read_index

    path = modules("g4_bert_mlm") / "variables" / "variables.index"
    pairs = index_tables.read_table(path.read_bytes())
    assert len(pairs) == len(read_index(path).entries) + 1  # and the header
    for _, value in pairs:
        assert index_tables.write_fields(index_tables.read_fields(value)) == value
    assert index_tables.read_table(index_tables.table(pairs)) == pairs


def test_a_changed_index_is_read_again_with_right_checksums(modules, tmp_path):
    from surgery.formats.checkpoint_index import read_index

    path = modules("g4_bert_mlm") / "variables" / "variables.index"
    written = tmp_path / "variables.index"
    written.write_bytes(index_tables.table(index_tables.read_table(path.read_bytes())))
    assert read_index(written) == read_index(path)
