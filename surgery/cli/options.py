"""Shared by the commands: options, the reporting of errors, and help that ends with examples."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial, wraps
from pathlib import Path
from typing import Any, NoReturn

import click

from surgery import limits
from surgery.boundary import STACK, boundary
from surgery.cli.failing import tell_failure
from surgery.errors import InternalError, SurgeryError, UsageError
from surgery.processes.signals import raise_again
from surgery.wording import is_number

MODULES = (
    "MODULE is a folder, an archive of it (.tar.gz, .tgz or .zip), or a handle: a URL of TF Hub, a page of Kaggle or "
    "Hugging Face, kaggle://OWNER/MODEL/FRAMEWORK/VARIATION, or hf://OWNER/MODEL. The folder holds a SavedModel of "
    "TensorFlow 2 or 1 (such as a hub.Module or an Estimator's classifier), a TF1 checkpoint with its config, or a "
    "Hugging Face checkpoint."
)
SAVED_MODELS = (
    "MODULE is a folder with any SavedModel of TensorFlow 1 or 2, an archive of it (.tar.gz, .tgz or .zip), or a "
    "handle: a URL of TF Hub, a page of Kaggle or Hugging Face, kaggle://OWNER/MODEL/FRAMEWORK/VARIATION, or hf://OWNER/MODEL."
)


def paths(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[Any]:
    """Has the shell complete a path. Such a parameter is text to click, because a module may also be a handle."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


class NamedPath(click.Path):
    """A path of the command line, as a Path. An empty text is none: a Path of it would be the current folder."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("expected a path, found an empty text: a shell variable may not be set", param, ctx)
        return super().convert(value, param, ctx)


PATH = NamedPath()


class Explained(click.Argument):
    """An argument whose meaning is part of the command's help."""

    def __init__(self, *args: Any, meaning: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.meaning = meaning


class Command(click.Command):
    """A command whose help explains its arguments and ends with examples, printed as they are."""

    def __init__(self, *args: Any, examples: tuple[str, ...] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_help_text(ctx, formatter)
        for argument in self.params:
            if isinstance(argument, Explained):
                formatter.write_paragraph()
                with formatter.indentation():
                    formatter.write_text(argument.meaning)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.examples:
            with formatter.section("Examples"):
                formatter.write("".join(f"  {line}\n" for line in self.examples))


def as_option(command: click.Command, name: str, value: Any) -> str:
    """An argument of a library function, spelled as the command's option: `--layers -4:`, `--no-text`.

    An argument that the command does not have is one of `convert`, to which the error leads: `taps` is `--tap`.
    """
    from surgery.cli.convert import convert

    option = next((option for option in (*command.params, *convert.params) if option.name == name), None)
    flag = option.opts[0] if option is not None else "--" + name.replace("_", "-")
    if value is False:
        opposites = [] if option is None else option.secondary_opts
        return opposites[0] if opposites else flag.replace("--", "--no-", 1)
    if value is True or value is ...:
        return flag
    if isinstance(value, dict):
        return " ".join(f"{flag} {key}={'VALUE' if item is ... else item}" for key, item in value.items())
    return f"{flag} {','.join(map(str, value)) if isinstance(value, list | tuple) else value}"


def reports_errors(function: Callable[..., Any]) -> Callable[..., Any]:
    """Turns every exception into a message on stderr and an exit code; `cli.main` does the same for writing to stdout.

    With the environment variable SURGERY_TRACEBACK the stack is shown as well.
    """

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        context = click.get_current_context()
        try:
            with boundary(context.command_path):
                return function(*args, **kwargs)
        except SurgeryError as error:
            report(error, context)

    return run


def report(error: SurgeryError, context: click.Context) -> NoReturn:
    """Prints an error to stderr and exits with its code. A defect is printed with the command line that showed it.

    Raises Stopped if a signal has come before: TensorFlow may have turned what it raised into this error.
    """
    raise_again()
    message, hint = error.parts(partial(as_option, context.command))
    if isinstance(error, InternalError):
        import shlex

        hint = f"{hint}\n  the command: {shlex.join(['surgery', *sys.argv[1:]])}"
    with suppress(OSError):  # the exit code is right even if stderr cannot be written
        if os.environ.get(STACK):
            import traceback

            traceback.print_exception(error)
        tell_failure(message, hint, code=error.exit_code, kind=type(error).__name__, before="error: ")
    sys.exit(error.exit_code)


def _set_limits(context: click.Context, option: click.Parameter, pairs: tuple[str, ...]) -> None:
    """Sets the limits of `--limit NAME=VALUE` options until the command ends."""
    found: dict[str, int] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not is_number(value):
            raise click.BadParameter(f"{pair}: expected NAME=VALUE with a whole number, such as files=20000")
        found[name] = int(value)
    try:
        context.with_resource(limits.raised(found))
    except UsageError as error:
        report(error, context)


def _set_timeout(context: click.Context, option: click.Parameter, seconds: int | None) -> None:
    if seconds is not None:
        context.with_resource(limits.raised({"batch_seconds": seconds}))


TIMEOUT = click.option(
    "--timeout",
    type=click.IntRange(min=1),
    metavar="SECONDS",
    expose_value=False,
    callback=_set_timeout,
    help="The longest run on one batch.  [default: 600]",
)
LIMIT = click.option(
    "--limit",
    "limits",
    multiple=True,
    metavar="NAME=VALUE",
    expose_value=False,
    callback=_set_limits,
    help="Set a limit on what is read or run, which an error has named. Repeatable.",
)
MODULE = click.argument("module", metavar="MODULE", cls=Explained, meaning=MODULES, shell_complete=paths)
SAVED_MODEL = click.argument("module", metavar="MODULE", cls=Explained, meaning=SAVED_MODELS, shell_complete=paths)
JSON = click.option("--json", "as_json", is_flag=True, help="Print the same facts as JSON.")
VERBOSE = click.option("--verbose", is_flag=True, help="Show TensorFlow's own messages.")
NONFINITE = click.option("--allow-nonfinite", is_flag=True, help="Accept weights that are NaN or infinite.")
ASSUME = click.option(
    "--assume",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Supply a hyperparameter for which the module has no evidence. Repeatable.",
)
TRUST = click.option("--trust", is_flag=True, help="Run it even if surgery scan finds that it is not clean.")
OVERWRITE = click.option("--overwrite", is_flag=True, help="Replace DESTINATION, after the new export has passed.")

KEEP_HEAD = click.option(
    "--keep-head",
    is_flag=True,
    help="Add the signature classifier with the model's own head, a dense layer.",
)

TOKENIZER = (
    click.option("--seq-length", type=click.IntRange(min=3), metavar="N", help="Cut texts to this many tokens."),
    click.option("--vocab", type=PATH, help="The vocabulary file, if the module has none."),
    click.option("--lower-case/--no-lower-case", default=None, help="The casing, if the module does not show it."),
)


def reads_texts(command: Any) -> Any:
    """Adds the options about a tokenizer, in their order."""
    for option in reversed(TOKENIZER):
        command = option(command)
    return command


def assumed(pairs: tuple[str, ...]) -> dict[str, Any]:
    """The `FIELD=VALUE` options as Python values by field. A value that is no JSON is text."""
    import json

    found: dict[str, Any] = {}
    for pair in pairs:
        field, equals, text = pair.partition("=")
        if not equals or not field or not text:
            raise UsageError(f"--assume {pair}: expected FIELD=VALUE")
        try:
            found[field] = json.loads(text.lower() if text in ("True", "False") else text)
        except ValueError:
            found[field] = text
    return found


SIGNATURE = click.option(
    "--signature",
    metavar="NAME",
    help="The signature whose graph is used.  [default: serving_default, or the only one]",
)
