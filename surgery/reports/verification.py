"""Report of a verified export: the comparison with its module, and notes about its manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from surgery.reports import parity
from surgery.reports.page import Data, lines

if TYPE_CHECKING:
    from surgery.jobs.verify import Verification


def data(verification: Verification) -> Data:
    """The comparison of an export with its module, and notes about its manifest."""
    return {
        "module": verification.plan.module.name,
        "exported": str(verification.exported),
        "parity": parity.data(verification.report),
        "notes": list(verification.notes),
    }


def text(console: Console, data: Data) -> None:
    """The comparison, then the notes."""
    parity.text(console, data["parity"])
    lines(console, [f"note: {note}" for note in data["notes"]])
