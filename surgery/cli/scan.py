"""surgery scan: what a module could do besides computing."""

from __future__ import annotations

import sys

import click

import surgery
from surgery.cli.options import JSON, LIMIT, MODULE, Command, reports_errors
from surgery.cli.terminal import show
from surgery.errors import UntrustedError


@click.command(
    cls=Command,
    short_help="Show what a SavedModel could do besides computing.",
    examples=(
        "surgery scan ./module",
        "surgery scan module.tar.gz --json | jq '.findings[]'",
        "surgery scan ./module && surgery convert ./module",
    ),
)
@MODULE
@LIMIT
@JSON
@reports_errors
def scan(module: str, as_json: bool) -> None:
    """Show each operation that is not on the allowlist: what it could do, and where it stands. Needs no TensorFlow.

    Works on any SavedModel, and runs nothing. The exit code is 0 if the module is clean, else 7. Commands that run a
    module scan it first, and refuse one that is not clean unless --trust is given.
    """
    found = surgery.scan(module)
    show(found, as_json)
    if not found.clean:
        sys.exit(UntrustedError.exit_code)
