"""The topic `checkpoint`: a Hugging Face folder written of the module, and of a checkpoint of BERT-large's sizes."""

import pathlib
import shutil
from collections.abc import Callable

from scripts.tools.benchmark.comparison import Comparison
from scripts.tools.benchmark.costs import compare_costs
from scripts.tools.benchmark.fixture import Fixture, files_of, read_through
from scripts.tools.benchmark.processes import Cost, by_turns, run
from scripts.tools.benchmark.progress import say


def measure_checkpoint(fixture: Fixture, repeats: int | None) -> list[Comparison]:
    """Compare `surgery checkpoint` with a copy of the source's files, as whole processes."""
    sources = {"checkpoint": (fixture.module, ()), "checkpoint, large": (large(fixture), ("--no-tokenizer",))}
    comparisons = []
    for topic, (source, options) in sources.items():
        say(f"{topic}: {source.name}")
        sides = {
            "surgery checkpoint": writing(fixture, "checkpoint", str(source), "{}", *options, "--json"),
            "cp": copying(fixture, source),
        }
        comparisons += compare_costs(topic, by_turns(sides, repeats or 3))
    return comparisons


def writing(fixture: Fixture, *arguments: str) -> Callable[[], Cost]:
    """Return a run of this project's command line that writes a folder, `{}` in the arguments, and then removes it."""

    def write() -> Cost:
        folder = fixture.beside("written")
        shutil.rmtree(folder, ignore_errors=True)
        cost = fixture.surgery(*(argument.format(folder) for argument in arguments))
        shutil.rmtree(folder)
        return cost

    return write


def copying(fixture: Fixture, source: pathlib.Path) -> Callable[[], Cost]:
    """Return a run of `cp` that reads and writes the same bytes."""

    def copy() -> Cost:
        folder = fixture.beside("copied")
        shutil.rmtree(folder, ignore_errors=True)
        cost = run(["cp", "-rL", str(source), str(folder)], fixture.root)
        shutil.rmtree(folder)
        return cost

    return copy


def large(fixture: Fixture) -> pathlib.Path:
    """Return a checkpoint of BERT-large's sizes with random weights, which an earlier run may have made.

    Of the small model it is a small one.
    """
    folder = fixture.beside("large_checkpoint")
    if not folder.is_dir():
        say(f"writing {folder.relative_to(fixture.root)} (once)")
        fixture.program("make_large_checkpoint", str(folder), fixture.size)
    for file in files_of(folder):
        read_through(file)
    return folder
