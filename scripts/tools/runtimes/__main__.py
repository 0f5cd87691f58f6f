"""Run one export in every runtime, and compare each output with the same reference, by name.

The table shows for each runtime whether the export loads, how many of the signatures' output names exist, and the
error of the output that is furthest off, at the precision with which the runtime says it computes. Runtimes that
conflict with surgery's packages run in environments of their own (.environments/, made when they are first needed).
Without EXPORTED, a small sample is converted first, with taps, a feature, a depth, and a text export. The exit code is
1 if a runtime that loads returns wrong numbers or loses a name, or if TensorFlow itself cannot load an export; 2 for
wrong usage; and 3 if EXPORTED is no export.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from scripts.tools.runtimes import report
from scripts.tools.runtimes.comparison import Outputs, Result, judge
from scripts.tools.runtimes.processes import Answer, ask
from scripts.tools.runtimes.programs.exchange import read_outputs, write_request
from scripts.tools.runtimes.registry import BELOW_FLOAT32, REFERENCE, ROUNDED, RUNTIMES, Runtime
from scripts.tools.runtimes.request import make_request
from scripts.tools.runtimes.sample import convert_sample
from surgery.cli.stopping import stoppable
from surgery.cli.terminal import WIDTH_WHEN_PIPED
from surgery.errors import SurgeryError
from surgery.scanning.gate import clear_folder
from surgery.scratch import scratch_folder
from surgery.wording import all_shown

EXAMPLES = """examples:
  scripts/runtimes                                      # a sample, in every runtime
  scripts/runtimes exported/bert/1 --only signature openvino openvino-f32
  scripts/runtimes exported/bert/1 --outputs            # the error of every output
  scripts/runtimes --json | jq '.exports[].runtimes[] | {runtime, loads, alive, names, worst}'
"""
NAMES = [runtime.name for runtime in RUNTIMES]


def read_options(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/runtimes",
        usage="%(prog)s [-h] [EXPORTED] [--only NAME [NAME ...]] [--outputs] [--trust] [--json]",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("exported", nargs="?", type=Path, metavar="EXPORTED", help="a folder that surgery wrote")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=NAMES,
        default=NAMES,
        metavar="NAME",
        help=f"these runtimes only, of {', '.join(NAMES)}",
    )
    parser.add_argument("--outputs", action="store_true", help="also show the error of every output in every runtime")
    parser.add_argument("--trust", action="store_true", help="run EXPORTED even if surgery scan finds it not clean")
    parser.add_argument("--json", action="store_true", help="print the same facts as JSON")
    return parser.parse_args(arguments)


def run_everywhere(export: Path, name: str, runtimes: Sequence[Runtime], workplace: Path) -> list[Result]:
    """The results of an export, in the order of the runtimes. Raises SurgeryError where the reference itself fails."""
    request = make_request(export.resolve(), workplace)
    write_request(workplace / "request", request)

    def answer_of(runtime: Runtime) -> Answer:
        say(f"{name}: {runtime.title}")
        return ask(runtime, workplace / "request", workplace / "answers" / runtime.name)

    def reference_of(runtime: Runtime) -> Outputs:
        plain = answer_of(runtime)
        unfit = [outcome["reason"] for outcome in plain.signatures.values() if not outcome["loads"]]
        if plain.failure or unfit:
            raise SurgeryError(
                f"running {export} in TensorFlow, as the reference: {plain.failure or unfit[0]}",
                hint="nothing can be compared before TensorFlow loads it: try surgery verify",
            )
        return {s.name: read_outputs(plain.folder, s.name, len(request.batches)) for s in request.signatures}

    reference = reference_of(REFERENCE)
    answers = [(runtime, answer_of(runtime)) for runtime in runtimes]
    used = {outcome.get("precision") for _, answer in answers for outcome in answer.signatures.values()}
    rounded = {precision: reference_of(ROUNDED[precision]) for precision in BELOW_FLOAT32 if precision in used}
    return [judge(runtime, answer, request, reference, rounded) for runtime, answer in answers]


def say(text: str) -> None:
    """Print a line of progress, on stderr."""
    print(f"runtimes: {text}", file=sys.stderr, flush=True)


def show(data: dict[str, Any], outputs: bool) -> None:
    """Print the tables, as wide as the terminal or COLUMNS; into a pipe, as wide as they need."""
    if sys.stdout.isatty():
        report.print_results(Console(highlight=False), data, outputs)
        return
    text = io.StringIO()
    width = None if "COLUMNS" in os.environ else WIDTH_WHEN_PIPED
    report.print_results(Console(file=text, width=width, highlight=False), data, outputs)
    print("\n".join(line.rstrip() for line in text.getvalue().splitlines()))


def main(arguments: Sequence[str]) -> int:
    """Run the chosen runtimes, print the results, and return the exit code."""
    options = read_options(arguments)
    runtimes = [runtime for runtime in RUNTIMES if runtime.name in options.only]
    exports = []
    with scratch_folder() as folder:
        places = [(options.exported, str(options.exported))]
        if options.exported is None:
            say("converting a sample")
            places = [(place, str(place.relative_to(folder / "sample"))) for place in convert_sample(folder / "sample")]
        try:
            for number, (place, name) in enumerate(places):
                clear_folder(place.resolve(), trust=options.trust)
                results = run_everywhere(place, name, runtimes, folder / str(number))
                exports.append(report.as_data(name, results))
        except SurgeryError as error:
            print(f"Error: {error}", file=sys.stderr)
            return error.exit_code
    data = {
        "reference": "the signatures in TensorFlow, float32, without grappler and oneDNN",
        "passed": all(export["passed"] for export in exports),
        "exports": exports,
    }
    if options.json:
        print(json.dumps(data, indent=1))
    else:
        show(all_shown(data), options.outputs)
    return 0 if data["passed"] else 1


if __name__ == "__main__":
    with stoppable():
        sys.exit(main(sys.argv[1:]))
