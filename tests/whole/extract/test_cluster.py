"""A corpus on a distributed engine: a scheduler of Dask and two workers as processes, of which one is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import surgery
from surgery.processes import child
from tests.support.running import ROOT, environment
from tests.triton.serving import descendants

pytest.importorskip("distributed", reason="Dask is not installed")

GATE = Path(__file__).with_name("worker_gate.py")
DEADLINE = 240
"""Seconds; a quiet machine takes a tenth."""
SAY_WHERE = {"PYTHONFAULTHANDLER": "1"}
"""A process that SIGABRT ends says first what each of its threads is at."""


@contextmanager
def started(log, *arguments, **variables):
    """A process of Dask, which is ended with the block, and with this process."""
    with open(log, "wb") as output:
        process = subprocess.Popen(
            child.command("-m", *map(str, arguments)),
            cwd=ROOT,
            env=environment(**SAY_WHERE, **variables),
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def cluster(folder):
    """The scheduler and its address, the file that says that a worker has stopped, and the two workers."""
    file, reached = folder / "scheduler.json", folder / "reached"
    meeting = {"GATE_REACHED": str(reached), "GATE_STOPS": str(folder / "stops")}
    scheduler = ("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", 0, "--no-dashboard")
    worker = ("distributed.cli.dask_worker", "--scheduler-file", file, "--no-nanny", "--nthreads", 1, "--no-dashboard")
    gate = ("--preload", GATE, "--local-directory", folder)
    with (
        started(folder / "scheduler.log", *scheduler, "--scheduler-file", file) as server,
        started(folder / "1.log", *worker, *gate, **meeting) as first,
        started(folder / "2.log", *worker, *gate, **meeting) as second,
    ):
        wait_for(file.exists, server)
        address = json.loads(file.read_text())["address"]
        wait_for(lambda: (folder / "1.log").read_text().count("Registered to"), first)
        wait_for(lambda: (folder / "2.log").read_text().count("Registered to"), second)
        yield server, address, reached, (first, second)


def wait_for(found, *processes):
    """Waits until something is there, as long as these processes run."""
    end = time.monotonic() + DEADLINE
    while not found():
        assert [process.poll() for process in processes] == [None] * len(processes)
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.05)


def last_words(folder, *processes):
    """What processes that do not come to an end said last, and where they are."""
    for process in processes:
        for each in descendants(process.pid) or {process.pid}:  # a command goes on in a child
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGABRT)
        process.wait()
    logs = {log.name: log.read_text(errors="replace").splitlines()[-60:] for log in sorted(folder.glob("*.log"))}
    return "\n".join(line for name, lines in logs.items() for line in (f"{name}:", *lines))


def by_line(folder):
    """Rows by line, of which none may come twice."""
    rows = pq.read_table(folder).to_pylist()
    found = {row["line"]: row for row in rows}
    assert len(found) == len(rows)
    return found


def test_a_worker_that_is_killed_costs_no_row_and_doubles_none(text_exports, tmp_path, monkeypatch):
    _, export = text_exports("g3_small")
    monkeypatch.chdir(tmp_path)  # the workers of the cluster have another folder
    corpus = Path("corpus.txt")
    lines = [b"a b c d e f g " * (number % 20) for number in range(400)]
    lines[300] = b"\xff"
    corpus.write_bytes(b"\n".join(lines) + b"\n")
    surgery.extract(export, corpus, "here", outputs="pooled_output", processes=1)
    words = ["extract", export, corpus, "--output", "there", "--outputs", "pooled_output", "--json"]
    with cluster(tmp_path) as (scheduler, address, reached, workers), open(tmp_path / "run.log", "wb") as log:
        words += ["--", "--runner=DaskRunner", f"--dask_client_address={address}"]
        with subprocess.Popen(
            [sys.executable, "-m", "surgery", *map(str, words)],
            env=environment(**SAY_WHERE),
            stdout=subprocess.PIPE,
            stderr=log,
        ) as run:
            try:
                wait_for(reached.exists, run, *workers)
                assert not (tmp_path / "there").exists()
                (staged,) = tmp_path.glob(".there.staging-*")
                assert list(staged.rglob("*.parquet"))  # a whole one and, mostly, a half one
                stopped = int((tmp_path / "stops").read_text())
                os.kill(stopped, signal.SIGKILL)
                said, _ = run.communicate(timeout=DEADLINE)
            except (TimeoutError, subprocess.TimeoutExpired) as error:
                raise AssertionError(last_words(tmp_path, run, *workers, scheduler)) from error
            finally:
                run.kill()
        assert [worker.poll() is None for worker in workers] == [worker.pid != stopped for worker in workers]
    assert run.returncode == 0
    summary = json.loads(said)
    assert (summary["texts"], summary["rejected"], summary["processes"]) == (399, 1, None)
    here, there = by_line(tmp_path / "here"), by_line(tmp_path / "there")
    assert here.keys() == there.keys()
    for line, row in here.items():
        expected, found = row.pop("pooled_output"), there[line].pop("pooled_output")
        np.testing.assert_allclose(found, expected, atol=2e-6)
        assert there[line] == row
    names = {path.name for path in (tmp_path / "there").iterdir()}
    assert names == {*(shard["file"] for shard in summary["shards"]), "_rejected.jsonl", "_extraction.json"}
    assert len(summary["shards"]) > 2
    assert not list(tmp_path.glob(".there*"))
