"""The command `surgery` with all its subcommands.

Results go to stdout; errors, notes and progress go to stderr. Nothing here imports TensorFlow: the functions that need
it import it when they run. A command's own module is imported when the command is called, or listed in the help.
"""

from __future__ import annotations

import atexit
import gc
import sys
from importlib import import_module
from typing import Any

import click
from click.exceptions import Exit

import surgery
from surgery.cli.failing import failing, usage_errors
from surgery.cli.isolation import go_on_in_child
from surgery.cli.options import MODULES, report
from surgery.cli.starting import prepare_tensorflow
from surgery.cli.stopping import stoppable
from surgery.cli.terminal import writing
from surgery.errors import SurgeryError
from surgery.wording import did_you_mean, shown

EPILOG_EXIT_CODES = """\b
Exit codes: 0 done, 1 a defect of surgery, 2 wrong usage, 3 not a module, damaged
or above a limit, 4 not explained by any weight table, 5 parity failed, 6 cannot
write the destination, 7 not clean: the module could do more than compute, 8 the
modules of diff differ, 130 stopped by Ctrl-C, 143 by SIGTERM, 129 by SIGHUP."""

READING = frozenset({"diff", "inspect", "scan", "plan", "taps", "graph", "report"})
"""The commands that read a module and run nothing of it."""
RUNNING = frozenset({"checkpoint", "convert", "edit", "extract", "preprocess", "run", "serving", "tap", "verify"})
"""The commands that run a module, or what was made of it."""
RUNNING_WITH = {"diff": {"--numbers"}, "report": {"--verify", "--text"}}
"""Commands that run a module with these options only."""


class Main(click.Group):
    """All commands. A signal stops each of them in the same way.

    There is an end for every way in which help or a version cannot be written to stdout.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands, in the order of the help."""
        return sorted(READING | RUNNING | self.commands.keys())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command by its name, which is also that of its module in this package; None where there is none."""
        if cmd_name in READING | RUNNING and cmd_name not in self.commands:
            self.add_command(getattr(import_module(f"surgery.cli.{cmd_name}"), cmd_name))
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's, which knows of the commands that have been imported only when it suggests one."""
        name = args[0]
        if not ctx.resilient_parsing and not name.startswith("-") and self.get_command(ctx, name) is None:
            from difflib import get_close_matches

            meant = did_you_mean(get_close_matches(name, self.list_commands(ctx), n=2))
            ctx.fail(f"No such command '{name}'" + (f": {meant}" if meant else "."))
        return super().resolve_command(ctx, args)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """As click's, which writes the group's help here."""
        with writing(), usage_errors():
            return super().make_context(*args, **kwargs)
        raise Exit(0)  # the pipe was closed

    def invoke(self, ctx: click.Context) -> Any:
        """As click's, which writes the help of commands here."""
        with writing(), usage_errors():
            try:
                return super().invoke(ctx)
            except click.ClickException as error:
                error.message = shown(error.message)  # type: ignore[misc]  # names of files, which a shell has listed
                raise

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """As click's, which reports only its own errors, and calls a signal an error."""
        given = args[0] if args else kwargs.get("args")
        with failing(list(sys.argv[1:] if given is None else given)), stoppable():
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


def command() -> None:
    """The console command: `main` with the arguments of the process. Commands that run a module go on in a child."""
    with failing(sys.argv[1:]), stoppable():
        runs = _runs(sys.argv[1:])
        if set(sys.argv[1:2]) & READING and not runs:
            # All that such a command reads is used until it ends. Looking for garbage takes a fifth of its time, half
            # of that when the interpreter ends: what is frozen is left alone then.
            gc.disable()
            atexit.register(gc.freeze)
        if runs:
            try:
                go_on_in_child()
            except SurgeryError as error:
                report(error, click.Context(main))
            prepare_tensorflow(sys.argv[1])
        main()


def _runs(arguments: list[str]) -> bool:
    """Whether a command line runs a module."""
    name = arguments[0] if arguments else ""
    options = {word.partition("=")[0] for word in arguments[1:]}
    return name in RUNNING or bool(options & RUNNING_WITH.get(name, set()))
