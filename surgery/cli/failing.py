"""How a command says that it failed: in words, or with `--json` as one line of JSON. Both go to stderr.

stdout holds results only, so that a program that reads a pipe never takes an error for one: after a failure,
`surgery inspect module --json | jq .format` prints nothing but the error. A program that runs a command looks at the
exit code first; if it is not 0, the last line of stderr is the error.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import click

from surgery.cli.terminal import tell

SCHEMA = 1
_as_json: ContextVar[bool] = ContextVar("errors as JSON", default=False)


@contextmanager
def failing(arguments: Sequence[str]) -> Iterator[None]:
    """Failures inside the block are told as JSON if `--json` is among the arguments of the command line."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    token = _as_json.set("--json" in options)
    try:
        yield
    finally:
        _as_json.reset(token)


def tell_failure(message: str, hint: str | None = None, *, code: int, kind: str, before: str = "") -> None:
    """Prints why a command fails. `kind` is the class of the error; `before` stands before the message in words."""
    if _as_json.get():
        error = {"code": code, "type": kind, "message": message, "hint": hint}
        click.echo(json.dumps({"schema": SCHEMA, "error": error}), err=True)
        return
    tell(f"{before}{message}" + (f"\n  what to do: {hint}" if hint else ""), style="red")


@contextmanager
def usage_errors() -> Iterator[None]:
    """click's own errors inside the block, told as JSON where that is asked for. Else click prints them."""
    try:
        yield
    except click.ClickException as error:
        if not _as_json.get():
            raise
        context = getattr(error, "ctx", None)
        hint = None if context is None else f"{context.command_path} --help shows how it is used"
        tell_failure(error.format_message(), hint, code=error.exit_code, kind="UsageError")
        sys.exit(error.exit_code)
