"""Kill conversions at random times with SIGKILL, SIGTERM and SIGINT, and look at what they leave.

After each, a destination must be absent, old, or whole and new: its files are read and hashed. A conversion that
SIGTERM or SIGINT stops must leave nothing else. What SIGKILL leaves, in the folder for temporary files and beside the
destination, the next run must remove, even if that one is killed in turn. The exit code is 1 if any of that fails.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tarfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from scripts.tools.kills import trial
from scripts.tools.kills.scenarios import ABSENT, MARK, NEW, OLD, SCENARIOS, Scenario, digests, state
from surgery.cli.stopping import stoppable
from surgery.scratch import scratch_folder

ROOT = Path(__file__).parents[3]
MODULE = ROOT / "tests" / "modules" / "g3_small.tar.gz"
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
CODES = {signal.SIGKILL: (-9,), signal.SIGTERM: (143, -15), signal.SIGINT: (130, -2)}
"""Exit codes by signal. Before a command has begun anything, signals end it as they end any process."""
LATE = 0.4
"""The share of kills in the last tenth of a conversion, where it publishes."""


class Course:
    """One scenario in a folder of its own: a run that nobody kills, killed ones, and a last one."""

    def __init__(self, scenario: Scenario, folder: Path, module: Path) -> None:
        self.scenario, self.folder = scenario, folder
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []
        self._command = scenario.command(module, MODULE)
        (folder / "tmp").mkdir(parents=True)
        first = trial.run(self._command, folder)
        if first.code != 0:
            raise SystemExit(f"kills: {' '.join(self._command)} failed: {first.said}")
        self.seconds = first.seconds
        self._whole = {export: digests(folder / export) for export in scenario.exports}
        self._new = {export: folder / "kept" / export for export in scenario.exports}
        for export, kept in self._new.items():
            shutil.copytree(folder / export, kept)
        self._left: set[Path] = set()
        self._reset()

    def kill(self, number: signal.Signals, after: float) -> None:
        """Runs the conversion, ends it after `after` seconds, and looks at what it leaves."""
        before = self._leftovers()
        ended = trial.run(self._command, self.folder, number, after)
        how = f"{number.name} after {after:.3f} s of {self.seconds:.1f} s"
        left = self._leftovers()
        self.counts[number.name] += 1
        finished = ended.code == 0
        if finished:  # faster than the run that was measured: the next ones are killed earlier
            self.seconds = min(self.seconds, ended.seconds)
        if not finished and ended.code not in CODES[number]:
            self.faults.append(f"{how}: it ended with {ended.code}: {ended.said.strip()[-500:]}")
        if ended.orphans:
            self.faults.append(f"{how}: processes that it had started live on")
        states = [state(self.folder / export, self._whole[export]) for export in self.scenario.exports]
        for export, found in zip(self.scenario.exports, states, strict=True):
            if found not in (NEW, OLD if self.scenario.overwrites else ABSENT):
                self.faults.append(f"{how}: {export} is neither old nor whole new: {found}")
        if number != signal.SIGKILL:
            self._check_stopped(how, ended, states, left - before)
        if not finished and number == signal.SIGKILL and left - before:
            self.counts["left something"] += 1
        self.counts[
            "finished before"
            if finished
            else "new"
            if set(states) == {NEW}
            else "one new"
            if NEW in states
            else "as before"
        ] += 1
        self._left |= left
        self._reset()

    def finish(self) -> None:
        """Runs the conversion to its end: nothing may be left of those that were killed."""
        if (last := trial.run(self._command, self.folder)).code != 0:
            self.faults.append(f"the run after the last kill failed: {last.said.strip()[-500:]}")
        left = self._leftovers()
        if left:
            self.faults.append(f"left after the next run: {', '.join(path.name for path in left)}")
        self.counts["left after the next run"] = len(left)

    def _check_stopped(self, how: str, ended: trial.Ended, states: list[str], left: set[Path]) -> None:
        if left:
            self.faults.append(f"{how}: it left {', '.join(path.name for path in left)}")
        says_published = "before that, it published" in ended.said
        if ended.code != 0 and says_published != (NEW in states):
            self.faults.append(f"{how}: the destinations are {states}, and it said: {ended.said.strip()[-300:]}")

    def _leftovers(self) -> set[Path]:
        """What lies in the folder for temporary files, and beside the destinations."""
        exports = {self.folder / export for export in self.scenario.exports}
        beside = {path for folder in self.folder.glob("out/*") for path in folder.iterdir()} - exports
        return beside | set((self.folder / "tmp").iterdir())

    def _reset(self) -> None:
        """Puts the destinations into the state that they have before a conversion."""
        for export, kept in self._new.items():
            shutil.rmtree(self.folder / export, ignore_errors=True)
            if self.scenario.overwrites:
                shutil.copytree(kept, self.folder / export)
                (self.folder / export / MARK).parent.mkdir(exist_ok=True)
                (self.folder / export / MARK).write_text("old\n")


def read_options(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="scripts/kills", description=__doc__)
    parser.add_argument("--runs", metavar="N", type=int, default=40, help="kills in all (default: %(default)s)")
    parser.add_argument("--seed", metavar="S", type=int, default=0, help="of times and signals (default: %(default)s)")
    parser.add_argument("--scenarios", metavar="N", type=int, default=len(SCENARIOS), help="the first N of them only")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Kill conversions, print the table, and return the exit code."""
    options = read_options(arguments)
    chance = random.Random(options.seed)
    trial.load()
    with scratch_folder() as folder:
        with tarfile.open(MODULE) as packed:
            packed.extractall(folder / "module", filter="data")
        scenarios = SCENARIOS[: options.scenarios]
        courses = [
            Course(scenario, folder / str(number), folder / "module") for number, scenario in enumerate(scenarios)
        ]
        for turn in range(options.runs):
            course = courses[turn % len(courses)]
            number = chance.choices(SIGNALS, (2, 1, 1))[0]
            share = chance.uniform(0.9, 1.0) if chance.random() < LATE else chance.uniform(0.0, 0.9)
            course.kill(number, share * course.seconds)
            print(f"kills: {turn + 1} of {options.runs}", file=sys.stderr, flush=True)
        for course in courses:
            course.finish()
    show(courses)
    return 1 if any(course.faults for course in courses) else 0


def show(courses: Sequence[Course]) -> None:
    """Print a row for each scenario, and the faults."""
    columns = [number.name for number in SIGNALS]
    columns += ["finished before", "as before", "one new", "new", "left something", "left after the next run"]
    table = Table("scenario", *columns)
    for course in courses:
        table.add_row(course.scenario.name, *(str(course.counts[column]) for column in columns))
    total = sum((course.counts for course in courses), Counter[str]())
    table.add_row("all", *(str(total[column]) for column in columns))
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    console.print(table)
    for course in courses:
        for fault in course.faults:
            console.print(f"{course.scenario.name}: {fault}", markup=False)
    console.print(f"{sum(len(course.faults) for course in courses)} faults")


if __name__ == "__main__":
    with stoppable():
        sys.exit(main(sys.argv[1:]))
