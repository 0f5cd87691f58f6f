"""surgery plan: a conversion without writing anything."""

from __future__ import annotations

from typing import Any

import click

import surgery
from surgery.cli.options import (
    ASSUME,
    JSON,
    KEEP_HEAD,
    LIMIT,
    MODULE,
    Command,
    assumed,
    reports_errors,
)
from surgery.cli.output_options import chooses_outputs
from surgery.cli.terminal import show


@click.command(
    cls=Command,
    short_help="Show what convert would do, weight by weight.",
    examples=("surgery plan ./module", "surgery plan ./module --json | jq '.dropped'"),
)
@MODULE
@chooses_outputs
@KEEP_HEAD
@ASSUME
@LIMIT
@JSON
@reports_errors
def plan(module: str, as_json: bool, assume: tuple[str, ...], **outputs: Any) -> None:
    """Show what convert would do with every variable, and what it would write. Needs no TensorFlow."""
    show(surgery.plan(module, assume=assumed(assume), **outputs), as_json)
