"""Output of the command line: reports on stdout, messages and progress on stderr, TensorFlow's own messages hidden."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import click

from surgery.errors import WriteError
from surgery.progress import Progress
from surgery.results import Result, document, report_of
from surgery.wording import all_shown, shown

if TYPE_CHECKING:
    from rich.console import Console

WIDTH_WHEN_PIPED = 160


def show(result: Result, as_json: bool, **options: Any) -> None:
    """Prints a result as its JSON document, or with its report's function `text`. The options are the report's.

    A report draws from its data alone, so no control character of a module's name reaches a terminal; JSON has its own
    escapes. Text for a pipe is 160 columns wide, unless COLUMNS is set, and has no trailing blanks.
    """
    data = document(result, **options)
    if as_json:
        import json

        with writing():
            click.echo(json.dumps(data, indent=1))
        return
    import io

    from surgery.reports.page import Page

    text, data = report_of(result).text, all_shown(data)
    if sys.stdout is not None and sys.stdout.isatty():
        with writing():
            text(Page(highlight=False, emoji=False), data)
        return
    page = io.StringIO()
    width = None if "COLUMNS" in os.environ else WIDTH_WHEN_PIPED
    text(Page(file=page, width=width, highlight=False, emoji=False), data)
    with writing():
        click.echo("".join(f"{line.rstrip()}\n" for line in page.getvalue().splitlines()), nl=False)


@contextmanager
def writing() -> Iterator[None]:
    """A block that writes to stdout. It is written when the block ends; after an error, nothing more is written.

    If the reader of a pipe (head, less) has ended, nobody misses the rest: that is no error. Raises WriteError for any
    other reason, such as a full disk.
    """
    try:
        yield
        if sys.stdout is not None:  # None if it was closed before the start (`>&-`)
            sys.stdout.flush()
    except OSError as error:
        with suppress(OSError, ValueError):  # the interpreter flushes once more when it exits
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            raise WriteError(
                f"writing the result to stdout: {error.strerror or error}", hint="make room there, or write elsewhere"
            ) from error


def tell(message: str, style: str | None = None) -> None:
    """Prints a message on stderr, whose lines are never folded."""
    _stderr().print(shown(message), style=style, markup=False, soft_wrap=True)


def _stderr() -> Console:
    from rich.console import Console

    return Console(stderr=True, highlight=False, emoji=False)


@contextmanager
def working(verbose: bool, unit: str = "") -> Iterator[Progress]:
    """What a command needs that starts TensorFlow: progress, quiet libraries, and one folder for temporary files."""
    from surgery.processes.scratch import holding_temporary_files

    with holding_temporary_files(), _showing(verbose, unit) as progress:
        yield progress


@contextmanager
def _showing(verbose: bool, unit: str) -> Iterator[Progress]:
    """Shows progress on stderr if that is a terminal, and hides TensorFlow's own messages unless `verbose`.

    With a `unit`, such as "texts", the progress shows how many units are done per second.
    """
    if verbose:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "0"
        yield lambda step, done, total: tell(step) if done == 0 else None
        return
    from rich import progress as bars

    with _quiet_stderr():
        console = _stderr()
        columns = (
            bars.SpinnerColumn(),
            bars.TextColumn("{task.description}", markup=False),
            bars.BarColumn(20),
            bars.MofNCompleteColumn(),
            bars.TimeElapsedColumn(),
            *([bars.TextColumn("{task.fields[rate]}")] if unit else ()),
        )
        with bars.Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
            tasks: dict[str, Any] = {}

            def progress(step: str, done: int, total: int) -> None:
                if step not in tasks:
                    # Each step gets a new task, because a task of rich that has a total cannot lose it.
                    for task in tasks.values():
                        bar.remove_task(task)
                    tasks.clear()
                    tasks[step] = bar.add_task(shown(step), total=total or None, rate="")
                bar.update(tasks[step], completed=done, total=total or None, rate=_rate(bar, tasks[step], unit))

            yield progress


def _rate(bar: Any, task: Any, unit: str) -> str:
    speed = bar.tasks[bar.task_ids.index(task)].speed
    return f"{speed:,.0f} {unit}/s" if unit and speed else ""


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Hides messages of C++ code and logs of libraries. Python's own sys.stderr still writes to the terminal.

    TensorFlow's C++ code writes to file descriptor 2, which therefore points to the null device in the meantime.
    """
    import logging

    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    sys.stderr.flush()
    terminal, before = os.dup(2), sys.stderr
    sys.stderr = os.fdopen(os.dup(terminal), "w", encoding=before.encoding, errors="backslashreplace", buffering=1)
    away = os.open(os.devnull, os.O_WRONLY)
    os.dup2(away, 2)
    os.close(away)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
        sys.stderr.close()
        sys.stderr = before
        os.dup2(terminal, 2)
        os.close(terminal)
