"""Report of the tensors in the graph of a signature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from surgery.module import TensorInfo
from surgery.reports.page import Data, aligned, lines
from surgery.wording import shape_text

if TYPE_CHECKING:
    from surgery.graph_taps.listing import GraphListing

SCHEMA = 1


def data(listing: GraphListing) -> Data:
    """A signature, the tensors of its graph that can be tapped, and the loops and branches between them."""
    return {
        "name": listing.files.name,
        "tags": list(listing.tags),
        "signature": listing.signature.name,
        "inputs": [_tensor(tensor) for tensor in listing.signature.inputs],
        "outputs": [_tensor(tensor) for tensor in listing.signature.outputs],
        "tensors": [{"name": t.name, "op": t.op, "dtype": t.dtype, "shape": sizes(t.shape)} for t in listing.tensors],
        "enclosed": [
            {
                "name": region.name,
                "op": region.op,
                "kind": region.kind,
                "operations": len(region.inside),
                "reachable": list(region.reachable),
                "meanings": dict(region.meanings),
            }
            for region in listing.enclosed
        ],
    }


def text(console: Console, data: Data) -> None:
    """One row per tensor. On a terminal a heading comes first, and the loops and branches come last."""
    rows = [(t["name"], t["op"], t["dtype"], shape_text(t["shape"])) for t in data["tensors"]]
    if not console.file.isatty():
        lines(console, aligned(rows))
        return
    lines(console, [f"{data['name']}, signature {data['signature']}: {len(rows)} tensors"], style="bold")
    lines(console, aligned([("tensor", "operation", "dtype", "shape"), *rows]))
    for region in data["enclosed"]:
        reachable = ", ".join(region["reachable"]) or "nothing that it returns"
        line = (
            f"inside the {region['kind']} {region['name']} ({region['op']}): {region['operations']} operations that "
            f"cannot be tapped; reachable: {reachable}"
        )
        lines(console, [line, *(f"  {name}: {meaning}" for name, meaning in region["meanings"].items())])


def sizes(shape: Sequence[int | None] | None) -> list[int | None] | None:
    """A shape as a JSON list; None for an unknown rank."""
    return None if shape is None else list(shape)


def _tensor(tensor: TensorInfo) -> Data:
    return {"key": tensor.key, "dtype": tensor.dtype, "shape": sizes(tensor.shape), "tensor": tensor.name}
