"""Change the sample modules at random, open each with the commands, and count how that ends.

A module may end in a result or in one of surgery's own errors. Everything else is kept in a folder, with the input and
what was printed: another exception, more than 20 s of CPU time, more than 2 GiB, a signal, a file written elsewhere.
The exit code is then 1. Every input goes through the commands that need no TensorFlow, and one in twenty through the
others. Input N of seed S is always the same one, for the same samples.
"""

from __future__ import annotations

import argparse
import gc
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path

from click.testing import CliRunner

from scripts.tools.fuzz import commands, inputs, outcomes, samples, trial
from scripts.tools.fuzz.samples import Sample
from surgery.cli.main import main as surgery

ROOT = Path(__file__).parents[3]
PACKED = ROOT / "tests" / "modules"

SAYS_EVERY = 60
"""Seconds between two words about how far it is."""
HEAVY = trial.Limits(cpu=60, memory=None, wall=300, at_once=1)
"""For the commands with TensorFlow."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """Some commands on some inputs, which one worker tries.

    Attributes:
        seed: The seed.
        numbers: The numbers of the inputs.
        commands: The commands.
        samples: The sound modules.
        scratch: A folder for the inputs.
        kept: The folder of what is kept.
        limits: What each command may use.
        again: The beginning of the command line that repeats an input.
    """

    seed: int
    numbers: Sequence[int]
    commands: Sequence[str]
    samples: Sequence[Sample]
    scratch: Path
    kept: Path
    limits: trial.Limits
    again: str


def attempt(job: Job) -> list[outcomes.Tried]:
    """Makes the inputs of a job, and tries the commands on each."""
    found = []
    with tempfile.TemporaryDirectory(dir=job.scratch, ignore_cleanup_errors=True) as folder:
        steps, given = [], []
        for number in job.numbers:
            area = Path(folder) / str(number)
            area.mkdir()
            made = inputs.make(job.seed, number, job.samples, area)
            for command in job.commands:
                output = area / f"output-{command}"
                output.mkdir()
                words = commands.arguments(command, made, output)
                steps.append(trial.Step(arguments=words, area=area, report=Path(folder) / f"{number}-{command}.txt"))
                given.append(made)
        for step, made, ending in zip(steps, given, trial.run(steps, job.limits), strict=True):
            one = outcomes.Tried(
                number=made.number,
                kind=made.kind,
                said=f"{made.sample.name}: {made.said}",
                arguments=tuple(step.arguments),
                ending=ending,
            )
            if not ending.is_expected:
                place = outcomes.keep(step, one, job.kept, job.again)
                print(f"{place}: {ending.outcome}: {ending.detail}", file=sys.stderr, flush=True)
            found.append(one)
    return found


def warm_up(sample: Path) -> None:
    """Opens a sample with the commands that need no TensorFlow, so that what they import is imported once."""
    import rich.console  # noqa: F401

    for command in commands.READING:
        CliRunner().invoke(surgery, [command, str(sample)])
    gc.freeze()


def load_tensorflow() -> None:
    """Imports what the commands with TensorFlow need, once for all that this worker tries."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for name in ("jobs.convert", "jobs.tap", "jobs.verify", "tf.building", "tf.text_export"):
        import_module(f"surgery.{name}")


def with_exports(found: Sequence[Sample], scratch: Path) -> list[Sample]:
    """The samples and an export of one sample of each format; each sample with an export to be verified with.

    Raises RuntimeError where a sound sample does not convert.
    """
    first = {sample.format: sample for sample in reversed(found)}
    exports = {}
    for kind, sample in first.items():
        folder = scratch / f"{sample.name}_export"
        report = scratch / f"{sample.name}_export.txt"
        step = trial.Step(arguments=["convert", str(sample.folder), str(folder)], area=scratch, report=report)
        (ending,) = trial.run([step], HEAVY)
        if not folder.is_dir():
            raise RuntimeError(f"converting {sample.name}: {ending.outcome}: {ending.detail}\n{report.read_text()}")
        exports[kind] = Sample(name=folder.name, folder=folder, format="export", source=sample.folder)
    return [*(replace(sample, export=exports[sample.format].folder) for sample in found), *exports.values()]


def jobs(job: Job, numbers: Sequence[int], names: Iterable[str], at_once: int) -> Iterator[Job]:
    """The job for some commands, in parts of so many inputs."""
    names = tuple(names)
    for start in range(0, len(numbers), at_once) if names else ():
        yield replace(job, numbers=numbers[start : start + at_once], commands=names)


def options(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    known = (*commands.READING, *commands.RUNNING)
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1000, metavar="N", help="how many inputs (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="the seed (default: 0)")
    parser.add_argument("--only", type=int, action="append", metavar="N", help="try this input only, with all commands")
    parser.add_argument("--commands", nargs="+", choices=known, default=known, help="the commands (default: all)")
    parser.add_argument(
        "--samples", type=Path, default=PACKED, metavar="DIR", help="modules and archives of modules to change"
    )
    parser.add_argument(
        "--kept", type=Path, metavar="DIR", help="keep failures there (default: a new folder in TMPDIR)"
    )
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)), metavar="N", help="workers")
    return parser.parse_args(arguments)


def fuzz(given: argparse.Namespace, scratch: Path) -> list[outcomes.Tried]:
    """Tries everything, or what it can until Ctrl-C, and returns it in the order of the inputs."""
    context = get_context("fork")
    reading = [name for name in given.commands if name in commands.READING]
    running = [name for name in given.commands if name in commands.RUNNING]
    found: Sequence[Sample] = samples.unpack(given.samples, scratch)
    warm_up(found[0].folder)
    numbers = given.only or range(given.inputs)
    rarely = given.only or [number for number in numbers if number % commands.EVERY == 0]
    with (
        ProcessPoolExecutor(given.processes, context) as readers,
        ProcessPoolExecutor(given.processes, context, initializer=load_tensorflow) as runners,
    ):
        if running:
            found = runners.submit(with_exports, found, scratch).result()
        chosen = " ".join(given.commands)
        job = Job(
            seed=given.seed,
            numbers=(),
            commands=(),
            samples=found,
            scratch=scratch,
            kept=given.kept,
            limits=trial.Limits(),
            again=f"scripts/fuzz --seed {given.seed} --samples {given.samples} --commands {chosen}",
        )
        heavy = replace(job, limits=HEAVY)
        tried = [readers.submit(attempt, part) for part in jobs(job, numbers, reading, 20)]
        tried += [runners.submit(attempt, part) for part in jobs(heavy, rarely, running, 1)]
        done: list[outcomes.Tried] = []
        said = time.monotonic()
        try:
            for part in as_completed(tried):
                done += part.result()
                if time.monotonic() - said > SAYS_EVERY:
                    said = time.monotonic()
                    print(f"{len(done)} runs done", file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            print(f"stopped after {len(done)} runs", file=sys.stderr, flush=True)
            for pool in (readers, runners):
                pool.shutdown(wait=False, cancel_futures=True)
        return sorted(done, key=lambda one: one.number)


def main(arguments: Sequence[str]) -> int:
    """Runs, prints the counts, and returns 1 where something was kept."""
    given = options(arguments)
    if given.kept is None:
        given.kept = Path(tempfile.mkdtemp(prefix="fuzz-"))
    with tempfile.TemporaryDirectory(prefix="fuzz-scratch-") as scratch:
        tried = fuzz(given, Path(scratch))
    failures = [one for one in tried if not one.ending.is_expected]
    print(outcomes.table(tried, given.commands))
    print(f"\ninputs by kind of change: {outcomes.by_kind(tried)}")
    slowest = max(tried, key=lambda one: one.ending.cpu)
    print(f"the most CPU time: {slowest.ending.cpu:.1f} s, {slowest.arguments[0]} on input {slowest.number}")
    if failures:
        print(f"\n{len(failures)} neither a result nor an error of surgery's, kept in {given.kept}")
    else:
        shutil.rmtree(given.kept, ignore_errors=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
