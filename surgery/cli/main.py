"""The command `surgery` with all its subcommands.

Results go to stdout; errors, notes and progress go to stderr. Nothing here imports TensorFlow: the functions that need
it import it when they run.
"""

from __future__ import annotations

from typing import Any

import click

import surgery
from surgery.cli.convert import convert
from surgery.cli.edit import edit
from surgery.cli.extract import extract
from surgery.cli.graph import graph
from surgery.cli.inspect import inspect
from surgery.cli.options import MODULES
from surgery.cli.plan import plan
from surgery.cli.preprocess import preprocess
from surgery.cli.serving import serving
from surgery.cli.stopping import stoppable
from surgery.cli.tap import tap
from surgery.cli.taps import taps
from surgery.cli.verify import verify

EPILOG_EXIT_CODES = """\b
Exit codes: 0 done, 2 wrong usage, 3 not a module or damaged, 4 not explained by
any weight table, 5 parity failed, 6 cannot write the destination, 130 stopped by Ctrl-C, 143 by
SIGTERM, 129 by SIGHUP."""


class Main(click.Group):
    """All commands. A signal stops each of them in the same way."""

    def invoke(self, ctx: click.Context) -> Any:
        with stoppable():
            return super().invoke(ctx)


@click.group(
    cls=Main,
    help="Opens TF Hub's BERT modules: look inside, rebuild, verify, re-export with every block output named.\n\n"
    + MODULES,
    epilog=EPILOG_EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(surgery.__version__, prog_name="surgery")
def main() -> None:
    """The group of all commands."""


for command in (inspect, plan, taps, convert, verify, edit, graph, tap, preprocess, serving, extract):
    main.add_command(command)
