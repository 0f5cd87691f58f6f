"""`surgery graph` and `surgery tap`: the tensors of any SavedModel's graph, and those of them that become outputs."""

from __future__ import annotations

from pathlib import Path

import click

import surgery
from surgery.cli.options import JSON, MODULE, OVERWRITE, VERBOSE, Command, reports_errors
from surgery.cli.terminal import talk, working

SIGNATURE = click.option(
    "--signature",
    metavar="NAME",
    help="The signature whose graph is meant.  [default: serving_default, or the only one]",
)


@click.command(
    cls=Command,
    short_help="List the tensors in the graph of any SavedModel.",
    examples=(
        "surgery graph ./module --match Softmax            # part of a name",
        "surgery graph ./module --match '*/layer_3/*/add'  # the whole name, with * ? [abc]",
        "surgery graph ./module --json | jq -r '.tensors[] | select(.op == \"Conv2D\").name'",
    ),
)
@MODULE
@SIGNATURE
@click.option("--match", metavar="PATTERN", help="List those only whose name has this part, or matches this glob.")
@JSON
@reports_errors
def graph(module: str, signature: str | None, match: str | None, as_json: bool) -> None:
    """List the tensors of a signature's graph: name, operation, dtype, shape. Needs no TensorFlow.

    Any SavedModel will do, of TensorFlow 1 or 2. Function calls are followed inwards; every name can be given to
    surgery tap. Into a pipe goes one row a tensor. --match tells capitals apart, and * stands for slashes too.
    """
    from surgery.reports import graph as graph_report

    found = surgery.graph(module, signature=signature, match=match)
    graph_report.show_listing(graph_report.listing_data(found), as_json)
    if match is not None and not found.tensors:
        talk().print(f"note: no tensor of {found.files.name} matches {match}", markup=False, soft_wrap=True)


@click.command(
    cls=Command,
    short_help="Return more tensors of the graph of any SavedModel.",
    examples=(
        "surgery tap ./cnn served/cnn/2 --tensor cnn/conv/Relu=features --tensor cnn/pool/Mean",
        "surgery tap ./module ./tapped --signature tokens --tensor bert/pooler/Squeeze=first_token",
    ),
)
@MODULE
@click.argument("destination", type=click.Path(path_type=Path))
@click.option(
    "--tensor",
    "tensors",
    multiple=True,
    required=True,
    metavar="NAME[=OUTPUT]",
    help="A tensor, as surgery graph names it, and the key of its output; without one, the name with _ for whatever is "
    "no letter or digit. Repeatable.",
)
@SIGNATURE
@OVERWRITE
@click.option("--keep-failed", is_flag=True, help="Keep the staged export when it fails, to look at.")
@JSON
@VERBOSE
@reports_errors
def tap(
    module: str,
    destination: Path,
    tensors: tuple[str, ...],
    signature: str | None,
    overwrite: bool,
    keep_failed: bool,
    as_json: bool,
    verbose: bool,
) -> None:
    """Write a SavedModel whose signature returns tensors from inside its own graph as well.

    Any SavedModel will do, of TensorFlow 1 or 2. Nothing is frozen: variables stay variables, tables and assets come
    along, and so do the other signatures. It is published when the outputs that there were are the same on inputs made
    from the signature: to the bit, or to the last bits where the new outputs let TensorFlow fuse the graph otherwise.
    """
    from surgery.reports import graph as graph_report

    with working(verbose) as progress:
        done = surgery.tap(
            module,
            destination,
            tensors,
            signature=signature,
            overwrite=overwrite,
            keep_failed=keep_failed,
            progress=progress,
        )
    graph_report.show_tapping(graph_report.tapping_data(done), as_json)
