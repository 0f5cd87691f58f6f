"""Measures the matrix products of a BERT alone, in one process and in several: what a further core itself brings.

The processes share nothing but the processor, and each has a core and a thread of its own. `surgery extract` cannot
gain more by a further process than they do.
"""

import contextlib
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from scripts.tools.benchmark import models
from scripts.tools.benchmark.fixture import Fixture
from scripts.tools.benchmark.programs.inputs import FULL, Case
from scripts.tools.benchmark.progress import say
from scripts.tools.benchmark.workers import Worker

CASE = Case(32, 16, FULL)
"""A batch of texts as short as people's."""
CALLS = 32
"""The calls of each side, which its processes divide."""


def products_by_processes(
    fixture: Fixture, counts: Sequence[int], cores: Sequence[int], repeats: int
) -> dict[int, list[float]]:
    """Return the seconds in which each number of processes computes CALLS batches, in every turn."""
    command = models.command(models.MODELS["matmuls"], fixture)
    seconds: dict[int, list[float]] = {count: [] for count in counts}
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(Worker(command, fixture.root, core=core)) for core in cores[: max(counts)]]
        for worker in workers:
            computed_by([worker], 1)
        for turn in range(1, repeats + 1):
            for count in counts:
                seconds[count].append(computed_by(workers[:count], CALLS))
                say(f"{turn}/{repeats} the matrix products alone, processes: {count}: {seconds[count][-1]:.2f} s")
    return seconds


def computed_by(workers: Sequence[Worker], calls: int) -> float:
    """Return the seconds until all workers, at the same time, have computed their share of the calls."""

    def compute(worker: Worker) -> None:
        worker.ask(do="time", signature="serving_default", case=CASE, calls=calls // len(workers))

    with ThreadPoolExecutor(len(workers)) as pool:
        started = time.perf_counter()
        list(pool.map(compute, workers))
        return time.perf_counter() - started
