"""surgery inspect: signatures, calls, files and architecture of a module."""

from __future__ import annotations

import click

import surgery
from surgery.cli.options import JSON, LIMIT, MODULE, Command, reports_errors
from surgery.cli.terminal import show
from surgery.errors import UsageError


@click.command(
    cls=Command,
    short_help="Show what a SavedModel is and how it is called.",
    examples=(
        "surgery inspect bert_en_uncased_L-12_H-768_A-12.tar.gz",
        "surgery inspect ./module --signature serving_default",
        "surgery inspect ./module --json | jq .explanation",
    ),
)
@MODULE
@click.option("--signature", metavar="NAME", help="Show this signature only.")
@click.option("--variables", is_flag=True, help="List every variable.")
@LIMIT
@JSON
@reports_errors
def inspect(module: str, as_json: bool, signature: str | None, variables: bool) -> None:
    """Show what a SavedModel is: signatures, calls, files, architecture and its evidence. Needs no TensorFlow."""
    found = surgery.inspect(module)
    names = {s.name for graph in found.module.meta_graphs for s in graph.signatures}
    if signature is not None and signature not in names:
        raise UsageError(
            f"--signature {signature}: {found.module.name} has no such signature",
            hint="it has " + (", ".join(sorted(names)) or "none"),
        )
    show(found, as_json, signature=signature, variables=variables)
