"""surgery graph: the tensors of any SavedModel's graph."""

from __future__ import annotations

import click

import surgery
from surgery.cli.options import JSON, LIMIT, SAVED_MODEL, SIGNATURE, Command, reports_errors
from surgery.cli.terminal import show, tell


@click.command(
    cls=Command,
    short_help="List the tensors in the graph of any SavedModel.",
    examples=(
        "surgery graph ./module --match Softmax            # part of a name",
        "surgery graph ./module --match '*/layer_3/*/add'  # the whole name, with * ? [abc]",
        "surgery graph ./module --json | jq -r '.tensors[] | select(.op == \"Conv2D\").name'",
    ),
)
@SAVED_MODEL
@SIGNATURE
@click.option("--match", metavar="PATTERN", help="List only tensors whose name contains this, or matches this glob.")
@LIMIT
@JSON
@reports_errors
def graph(module: str, signature: str | None, match: str | None, as_json: bool) -> None:
    """List the tensors of a signature's graph: name, operation, dtype, shape. Needs no TensorFlow.

    Tensors inside called functions are listed as well. surgery tap takes every name. In a pipe the output is one row
    per tensor and nothing else. --match distinguishes capitals, and * matches slashes too.
    """
    found = surgery.graph(module, signature=signature, match=match)
    show(found, as_json)
    if match is not None and not found.tensors:
        tell(f"note: no tensor of {found.files.name} matches {match}")
