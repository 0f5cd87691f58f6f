"""Measures `surgery extract` beside the loop of TF Hub's pages, beside transformers, and by number of processes."""

import functools
import json
import os
import pathlib
import shutil
from collections.abc import Callable, Sequence

from scripts.tools.benchmark.comparison import Comparison
from scripts.tools.benchmark.fixture import Fixture
from scripts.tools.benchmark.matrix_products import products_by_processes
from scripts.tools.benchmark.models import Unavailable, interpreter
from scripts.tools.benchmark.processes import Cost, by_turns
from scripts.tools.benchmark.progress import say
from scripts.tools.benchmark.sides import TORCH

TEXTS = {"base": 600, "small": 2000}
TEXTS_BY_PROCESSES = {"base": 8000, "small": 20000}
EXTRACT, HUB = "surgery extract", "the Hub loop"


def measure_extract(fixture: Fixture, repeats: int | None) -> list[Comparison]:
    """Compare one process of `surgery extract` with the loop of TF Hub's pages on one corpus, as whole processes."""
    corpus = fixture.corpus(TEXTS[fixture.size])
    sides: dict[str, Callable[[], Cost]] = {
        EXTRACT: functools.partial(extract, fixture, corpus, ("--processes", "1")),
        HUB: lambda: fixture.program("hub_loop", str(fixture.module), str(fixture.preprocessor()), str(corpus)),
    }
    if fixture.size == "base":
        try:
            python = interpreter("torch")
            vocabulary = fixture.module / "assets" / "vocab.txt"
            sides[TORCH] = lambda: fixture.program("torch_loop", str(vocabulary), str(corpus), python=python)
        except Unavailable as reason:
            say(f"not compared with {TORCH}: {reason}")
    fixture.text_export()
    fixture.preprocessor()
    costs = by_turns(sides, repeats or 3)
    texts, tokens = counts(costs[EXTRACT][0])
    found = []
    for reference in [name for name in sides if name != EXTRACT]:
        wall = [[cost.wall for cost in costs[name]] for name in (EXTRACT, reference)]
        rows = [(f"wall, {reference}", "s", wall, True)]
        for item, count in (("texts", texts), ("real tokens", tokens)):
            rows.append((item, f"{item}/s", [[count / seconds for seconds in side] for side in wall], True))
        peaks = [[cost.peak for cost in costs[name]] for name in (EXTRACT, reference)]
        rows.append(("peak memory", "MiB", peaks, False))
        found += [
            Comparison(
                topic="extract",
                quantity=quantity,
                unit=unit,
                subject=EXTRACT,
                subject_samples=ours,
                reference=reference,
                reference_samples=theirs,
                is_paired=is_paired,
            )
            for quantity, unit, (ours, theirs), is_paired in rows
        ]
    return found


def measure_processes(fixture: Fixture, repeats: int | None) -> list[Comparison]:
    """Compare one process on one core with two on two, and so on up to all cores. Each computes with one thread.

    The same is measured of the matrix products alone, in processes that share nothing.
    """
    corpus = fixture.corpus(TEXTS_BY_PROCESSES[fixture.size])
    fixture.text_export()
    cores = sorted(os.sched_getaffinity(0))
    counts_of_processes = [count for count in (1, 2, 4, 8, 16, 32) if count <= len(cores)]
    sides = {
        named(count): functools.partial(extract, fixture, corpus, ("--processes", str(count)), cores[:count])
        for count in counts_of_processes
    }
    costs = by_turns(sides, repeats or 3)
    wall = {name: [json.loads(cost.output)["seconds"] for cost in costs[name]] for name in sides}
    products = products_by_processes(fixture, counts_of_processes, cores, repeats or 3)
    alone = {named(count): seconds for count, seconds in products.items()}
    return [
        Comparison.between(samples, named(count), named(1), topic="processes", quantity=quantity, unit="s")
        for count in counts_of_processes[1:]
        for quantity, samples in (
            (f"{count} on {count} cores", wall),
            (f"{count} on {count} cores, its matrix products alone", alone),
        )
    ]


def named(count: int) -> str:
    """Return the name of a side: a number of processes."""
    return "1 process" if count == 1 else f"{count} processes"


def extract(
    fixture: Fixture,
    corpus: pathlib.Path,
    options: Sequence[str],
    cores: list[int] | None = None,
    after: Sequence[str] = (),
) -> Cost:
    """Extract pooled outputs of a corpus, on the named cores only; None for all cores. `after` ends the command."""
    folder = fixture.root / ".benchmark" / "features"
    shutil.rmtree(folder, ignore_errors=True)
    arguments = ["extract", str(fixture.text_export()), str(corpus), "--output", str(folder), *options]
    return fixture.surgery(*arguments, "--outputs", "pooled_output", "--json", *after, cores=cores)


def counts(cost: Cost) -> tuple[int, int]:
    """Return the numbers of texts and real tokens that an extraction prints."""
    summary = json.loads(cost.output)
    return summary["texts"], summary["tokens"]
