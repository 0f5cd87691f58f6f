"""A listed graph and a tapping, as JSON-ready data and as text of the same facts."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from surgery.module import TensorInfo
from surgery.plain import plain
from surgery.wording import shape_text

if TYPE_CHECKING:
    from surgery.graph_taps.listing import GraphListing
    from surgery.jobs.tap import Tapping

Data = dict[str, Any]


def listing_data(listing: GraphListing) -> Data:
    """A signature, the tensors of its graph that can be tapped, and the loops and branches between them."""
    return {
        "name": listing.files.name,
        "tags": list(listing.tags),
        "signature": listing.signature.name,
        "inputs": [_signature_tensor(tensor) for tensor in listing.signature.inputs],
        "outputs": [_signature_tensor(tensor) for tensor in listing.signature.outputs],
        "tensors": [{"name": t.name, "op": t.op, "dtype": t.dtype, "shape": _sizes(t.shape)} for t in listing.tensors],
        "enclosed": [
            {
                "name": region.name,
                "op": region.op,
                "kind": region.kind,
                "operations": len(region.inside),
                "reachable": list(region.reachable),
            }
            for region in listing.enclosed
        ],
    }


def tapping_data(tapping: Tapping) -> Data:
    """What was written, and how the source's outputs compare in it."""
    taps = {tap.output: tap.tensor for tap in tapping.taps}
    return {
        "name": tapping.listing.files.name,
        "destination": str(tapping.destination),
        "signature": tapping.listing.signature.name,
        "taps": [
            {"output": key, "tensor": t.name, "op": t.op, "dtype": t.dtype, "shape": _sizes(t.shape)}
            for key, t in taps.items()
        ],
        "batches": list(tapping.batches),
        "outputs": [{**plain(check), "tapped": check.output in taps} for check in tapping.checks],
        "variables": tapping.variables,
        "left_out": list(tapping.left_out),
    }


def show_listing(data: Data, as_json: bool) -> None:
    """Prints a listing: for a reader with a heading and the loops, for a pipe one row a tensor and nothing else."""
    if as_json:
        click.echo(json.dumps(data, indent=1))
        return
    rows = [(t["name"], t["op"], t["dtype"], shape_text(t["shape"])) for t in data["tensors"]]
    if not sys.stdout.isatty():
        click.echo("".join(f"{line}\n" for line in _aligned(rows)), nl=False)
        return
    click.secho(f"{data['name']}, signature {data['signature']}: {len(rows)} tensors", bold=True)
    for line in _aligned([("tensor", "operation", "dtype", "shape"), *rows]):
        click.echo(line)
    for region in data["enclosed"]:
        reachable = ", ".join(region["reachable"]) or "nothing that it returns"
        click.echo(
            f"inside the {region['kind']} {region['name']} ({region['op']}): {region['operations']} operations that "
            f"cannot be tapped; reachable: {reachable}"
        )


def show_tapping(data: Data, as_json: bool) -> None:
    """Prints what was written: each tap, each of the source's outputs with its verdict."""
    if as_json:
        click.echo(json.dumps(data, indent=1))
        return
    taps = [(tap["output"], tap["tensor"], tap["dtype"], shape_text(tap["shape"])) for tap in data["taps"]]
    outputs = [(check["output"], _verdict(check)) for check in data["outputs"]]
    click.echo(f"Signature {data['signature']} of {data['name']}")
    for line in _aligned([("new output", "tensor", "dtype", "shape"), *taps]):
        click.echo(line)
    click.echo(f"Outputs of the source, on {len(data['batches'])} batches made from the signature")
    for line in _aligned([("output", "verdict"), *outputs]):
        click.echo(line)
    click.echo(f"variables: {data['variables']}, each once and with the source's bits")
    for name in data["left_out"]:
        click.echo(f"left out: the signature {name}, whose inputs have names that TensorFlow 2 cannot write")
    click.echo(f"wrote {data['destination']}")


def _verdict(check: Data) -> str:
    if check["random"]:
        return "random: the source does not repeat it either"
    return "bit-equal" if check["bit_equal"] else f"equal but for its last bits: max abs error {check['max_abs']:.2g}"


def _signature_tensor(tensor: TensorInfo) -> Data:
    return {"key": tensor.key, "dtype": tensor.dtype, "shape": _sizes(tensor.shape), "tensor": tensor.name}


def _sizes(shape: Sequence[int | None] | None) -> list[int | None] | None:
    return None if shape is None else list(shape)


def _aligned(rows: Iterable[Sequence[str]]) -> list[str]:
    """Rows with their columns one below the other, never folded."""
    table = list(rows)
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
