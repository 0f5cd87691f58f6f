"""Measure inspect, convert, extract and inference, each beside an alternative.

All figures of a run are taken on one machine in one go, with the two sides by turns. Measuring is not a test: a target
that is missed is reported as missed, and the exit code stays 0. The measured module is made once, in .benchmark/;
delete that folder to make it anew.
"""

import argparse
import pathlib
import sys

from scripts.tools.benchmark import page, results, topics
from scripts.tools.benchmark.fixture import Fixture
from scripts.tools.benchmark.machine import describe_machine
from scripts.tools.benchmark.progress import say

ROOT = pathlib.Path(__file__).resolve().parents[3]


def topic_list(text: str) -> list[str]:
    """Split a comma-separated choice of topics. Raises ArgumentTypeError for an unknown topic."""
    chosen = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in chosen if name not in topics.TOPICS]
    if unknown or not chosen:
        raise argparse.ArgumentTypeError(f"{text!r} is not among {','.join(topics.TOPICS)}")
    return chosen


def positive(text: str) -> int:
    """Read a number of repeats. Raises ArgumentTypeError for a number below 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def read_options(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="scripts/benchmark", description=__doc__)
    parser.add_argument(
        "--repeats",
        type=positive,
        metavar="N",
        help="fresh processes per side, or turns of inference (default: 5 for inspect, 3 for convert and load, and for "
        "inference 15 to 7 by the size of requests)",
    )
    parser.add_argument(
        "--only",
        type=topic_list,
        default=list(topics.TOPICS),
        metavar="TOPICS",
        help=f"a comma-separated choice of {','.join(topics.TOPICS)} (default: all)",
    )
    parser.add_argument(
        "--json",
        type=pathlib.Path,
        metavar="FILE",
        help="also write all raw samples, medians and targets to this file",
    )
    parser.add_argument(
        "--page",
        type=pathlib.Path,
        metavar="FILE",
        help="also write the tables and the plot of the topic inference into this page, such as docs/measured.md",
    )
    parser.add_argument(
        "--small", action="store_true", help="measure a tiny model, to try this script; targets do not apply"
    )
    options = parser.parse_args(arguments)
    if options.page and "inference" not in options.only:
        parser.error("--page shows the topic inference, which --only leaves out")
    return options


def main(arguments: list[str]) -> None:
    """Measure the chosen topics, then print the table."""
    options = read_options(arguments)
    size = "small" if options.small else "base"
    machine = describe_machine()
    fixture = Fixture(ROOT, size)
    fixture.prepare()
    comparisons = []
    for name in topics.TOPICS:
        if name in options.only:
            say(f"== {name}")
            comparisons += topics.TOPICS[name](fixture, options.repeats)
    results.print_table(comparisons, machine, size)
    if options.page:
        page.update(options.page, comparisons, machine, size)
        say(f"wrote {options.page}")
    if options.json:
        results.write_json(options.json, comparisons, machine, size)
        say(f"wrote {options.json}")


if __name__ == "__main__":
    main(sys.argv[1:])
