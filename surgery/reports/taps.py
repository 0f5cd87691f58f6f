"""Report of the sublayers that can be added as outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from surgery.reports.page import Data, table_of, title
from surgery.wording import size

if TYPE_CHECKING:
    from surgery.planning.tap_listing import TapListing

SCHEMA = 1


def data(listing: TapListing) -> Data:
    """The taps of an encoder. Bytes are those of one block's tensor in a reply of this batch and length."""
    inference = listing.plan.inference
    return {
        "name": listing.plan.module.name,
        "family": inference.family.name,
        "blocks": inference.architecture.blocks,
        "batch": listing.batch,
        "length": listing.length,
        "taps": [
            {
                "name": name,
                "axes": list(offer.axes),
                "shape": list(offer.shape(inference)),
                "bytes": listing.nbytes(name),
                "meaning": offer.row.meaning,
            }
            for name, offer in listing.offers.items()
        ],
        "not_offered": dict(inference.family.no_taps),
    }


def text(console: Console, data: Data) -> None:
    """The tensors that can be tapped: one row per name, with the bytes of one block's tensor in a reply."""
    title(console, f"Taps of {data['name']} ({data['family']}, {data['blocks']} blocks)")
    rows = [(tap["name"], _axes(tap), size(tap["bytes"]), tap["meaning"]) for tap in data["taps"]]
    table_of(console, ("tap", "shape", "per block", "what it is"), rows)
    console.print(
        f"per block: bytes of one block's tensor in a reply of {data['batch']} x {data['length']} tokens; "
        f"--tap NAME is all {data['blocks']}, --tap NAME@-1 the last, --tap NAME@0,3 or NAME@-4: as Python counts"
    )
    for name, reason in data["not_offered"].items():
        console.print(Text(f"no {name}: {reason}", style="dim"))


def _axes(tap: Data) -> str:
    shown = (
        axis if length is None else f"{axis} {length}" for axis, length in zip(tap["axes"], tap["shape"], strict=True)
    )
    return "[" + ", ".join(shown) + "]"
