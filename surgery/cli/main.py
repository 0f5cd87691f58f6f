"""The command `surgery` with all its subcommands.

Results go to stdout; errors, notes and progress go to stderr. Nothing here imports TensorFlow: the functions that need
it import it when they run.
"""

from __future__ import annotations

import sys
from typing import Any

import click
from click.exceptions import Exit

import surgery
from surgery.cli.convert import convert
from surgery.cli.edit import edit
from surgery.cli.extract import extract
from surgery.cli.graph import graph
from surgery.cli.inspect import inspect
from surgery.cli.isolation import go_on_in_child
from surgery.cli.options import MODULES, report
from surgery.cli.plan import plan
from surgery.cli.preprocess import preprocess
from surgery.cli.scan import scan
from surgery.cli.serving import serving
from surgery.cli.starting import prepare_tensorflow
from surgery.cli.stopping import stoppable
from surgery.cli.tap import tap
from surgery.cli.taps import taps
from surgery.cli.terminal import writing
from surgery.cli.verify import verify
from surgery.errors import SurgeryError
from surgery.wording import shown

EPILOG_EXIT_CODES = """\b
Exit codes: 0 done, 1 a defect of surgery, 2 wrong usage, 3 not a module, damaged
or above a limit, 4 not explained by any weight table, 5 parity failed, 6 cannot
write the destination, 7 not clean: the module could do more than compute, 130
stopped by Ctrl-C, 143 by SIGTERM, 129 by SIGHUP."""


RUNNING = frozenset({"convert", "edit", "extract", "preprocess", "serving", "tap", "verify"})
"""The commands that run a module, or what was made of it."""


class Main(click.Group):
    """All commands. A signal stops each of them in the same way.

    There is an end for every way in which help or a version cannot be written to stdout.
    """

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """As click's, which writes the group's help here."""
        with writing():
            return super().make_context(*args, **kwargs)
        raise Exit(0)  # the pipe was closed

    def invoke(self, ctx: click.Context) -> Any:
        """As click's, which writes the help of commands here."""
        with stoppable(), writing():
            try:
                return super().invoke(ctx)
            except click.ClickException as error:
                error.message = shown(error.message)  # type: ignore[misc]  # names of files, which a shell has listed
                raise

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """As click's, which reports only its own errors."""
        try:
            return super().main(*args, **kwargs)
        except SurgeryError as error:
            report(error, click.Context(self))


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


for listed in (inspect, scan, plan, taps, convert, verify, edit, graph, tap, preprocess, serving, extract):
    main.add_command(listed)


def command() -> None:
    """The console command: `main` with the arguments of the process. Commands that run a module go on in a child."""
    with stoppable():
        if set(sys.argv[1:2]) & RUNNING:
            try:
                go_on_in_child()
            except SurgeryError as error:
                report(error, click.Context(main))
            prepare_tensorflow(sys.argv[1])
        main()
