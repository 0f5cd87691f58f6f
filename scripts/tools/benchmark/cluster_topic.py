"""Measures `surgery extract` on a cluster of Dask on this machine, beside its own processes."""

import functools
import importlib.util
import json
import os
import pathlib
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from scripts.tools.benchmark.comparison import Comparison
from scripts.tools.benchmark.extract_topics import TEXTS_BY_PROCESSES, extract, named
from scripts.tools.benchmark.fixture import Fixture
from scripts.tools.benchmark.processes import QUIET, Cost, by_turns
from scripts.tools.benchmark.progress import say
from surgery.processes import child

START = 60
"""Seconds that the scheduler and its workers may take to start."""


def measure_cluster(fixture: Fixture, repeats: int | None) -> list[Comparison]:
    """Compare workers of Dask with as many processes, and two workers with one, each on a core of its own.

    Workers are as fresh as processes: both times have TensorFlow's import and the model's load in them.
    """
    if importlib.util.find_spec("distributed") is None:
        say("Dask is not installed: not measured")
        return []
    corpus = fixture.corpus(TEXTS_BY_PROCESSES[fixture.size])
    fixture.text_export()
    cores = sorted(os.sched_getaffinity(0))
    counts = [count for count in (1, 2) if count <= len(cores)]
    sides: dict[str, Callable[[], Cost]] = {}
    for count in counts:
        processes = ("--processes", str(count))
        sides[named(count)] = functools.partial(extract, fixture, corpus, processes, cores[:count])
        sides[workers(count)] = functools.partial(extract_on_cluster, fixture, corpus, cores[:count])
    costs = by_turns(sides, repeats or 3)
    seconds = {name: [json.loads(cost.output)["seconds"] for cost in costs[name]] for name in sides}
    pairs = [(workers(count), named(count)) for count in counts]
    pairs += [(workers(count), workers(1)) for count in counts[1:]]
    return [
        Comparison.between(
            seconds,
            subject,
            reference,
            topic="cluster",
            quantity=f"{subject}, {reference}",
            unit="s",
        )
        for subject, reference in pairs
    ]


def workers(count: int) -> str:
    """Return the name of a side: a number of Dask's workers."""
    return "1 worker of Dask" if count == 1 else f"{count} workers of Dask"


def extract_on_cluster(fixture: Fixture, corpus: pathlib.Path, cores: Sequence[int]) -> Cost:
    """Extract pooled outputs of a corpus on a fresh cluster with one worker on each of the named cores."""
    with cluster(cores) as address:
        return extract(fixture, corpus, (), after=("--", "--runner=DaskRunner", f"--dask_client_address={address}"))


@contextmanager
def cluster(cores: Sequence[int]) -> Iterator[str]:
    """A scheduler with one worker of one thread on each core; its address, when all of them are there."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = pathlib.Path(name)
        file = folder / "scheduler.json"
        scheduler = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)]
        worker = ["--scheduler-file", str(file), "--no-nanny", "--nthreads", "1", "--no-dashboard"]
        stack.enter_context(started("scheduler", scheduler, folder))
        for core in cores:
            process = stack.enter_context(started("worker", [*worker, "--local-directory", name], folder))
            os.sched_setaffinity(process.pid, [core])  # long before it imports TensorFlow
        end = time.monotonic() + START
        log = folder / "worker.log"
        while not file.exists() or log.read_text().count("Registered to") < len(cores):
            if time.monotonic() > end:
                raise SystemExit(f"Dask did not start within {START} s:\n{log.read_text()[-2000:]}")
            time.sleep(0.1)
        yield str(json.loads(file.read_text())["address"])


@contextmanager
def started(part: str, arguments: Sequence[str], folder: pathlib.Path) -> Iterator[subprocess.Popen[bytes]]:
    """A scheduler or worker of Dask as a process, which ends with the block and with this process."""
    command = child.command("-m", f"distributed.cli.dask_{part}", *arguments)
    with open(folder / f"{part}.log", "ab") as log:
        process = subprocess.Popen(command, env={**os.environ, **QUIET}, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
