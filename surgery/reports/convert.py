"""Report of a published export: its comparison with the module, and the folders that were written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from surgery.explanation.heads import head_data
from surgery.plain import plain
from surgery.reports import padding, parity, surroundings
from surgery.reports.page import Data, lines
from surgery.tables.head import HEAD

if TYPE_CHECKING:
    from surgery.jobs.convert import Conversion

SCHEMA = 1


def data(conversion: Conversion) -> Data:
    """Folders, signatures and warm-up requests of a published export, and its comparison with the module."""
    return {
        "destination": str(conversion.destination),
        "text_destination": None if conversion.text_destination is None else str(conversion.text_destination),
        "warmup_requests": {str(destination): count for destination, count in conversion.warmups.items()},
        "page": None if conversion.page is None else str(conversion.page),
        "signatures": {name: list(outputs) for name, outputs in conversion.plan.signatures.items()},
        "packed": plain(conversion.plan.packed),
        "head": head_data(conversion.plan.inference.head),
        "parity": parity.data(conversion.report),
    }


def text(console: Console, data: Data) -> None:
    """The comparison, then what was written."""
    parity.text(console, data["parity"])
    if data["head"] is not None:
        console.print(
            surroundings.sentence(data["head"], kept=HEAD in data["signatures"]), markup=False, highlight=False
        )
    if data["packed"]:
        lines(console, [f"padding is {padding.sentence(data['packed'])}"])
    for folder in (data["destination"], data["text_destination"]):
        if folder is not None:
            requests = data["warmup_requests"].get(folder)
            lines(console, [f"wrote {folder}" + ("" if requests is None else f", with {requests} warm-up requests")])
    if data["page"] is not None:
        lines(console, [f"wrote {data['page']}"])
