"""surgery taps: the sublayers that convert can add as outputs."""

from __future__ import annotations

import click

import surgery
from surgery.cli.options import ASSUME, JSON, LIMIT, MODULE, Command, assumed, reports_errors
from surgery.cli.terminal import show


@click.command(
    cls=Command,
    short_help="List the sublayers that convert can add as outputs.",
    examples=("surgery taps ./module", "surgery taps ./module --batch 1 --length 512 --json"),
)
@MODULE
@click.option("--batch", type=click.IntRange(min=1), default=1, show_default=True, help="Rows of a request.")
@click.option("--length", type=click.IntRange(min=1), default=128, show_default=True, help="Tokens of a row.")
@ASSUME
@LIMIT
@JSON
@reports_errors
def taps(module: str, batch: int, length: int, assume: tuple[str, ...], as_json: bool) -> None:
    """List the sublayers that --tap can name: shape, meaning, bytes of one block in a reply. Needs no TensorFlow."""
    show(surgery.taps(module, batch=batch, length=length, assume=assumed(assume)), as_json)
