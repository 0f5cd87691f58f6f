"""Report of a verified export: the comparison with its module, and notes about its manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from surgery.reports import parity
from surgery.reports.page import Data, lines

if TYPE_CHECKING:
    from surgery.jobs.verify import Verification

SCHEMA = 1


def data(verification: Verification) -> Data:
    """The comparison of an export with its module, and notes about its manifest."""
    return {
        "module": verification.plan.module.name,
        "exported": str(verification.exported),
        "parity": parity.data(verification.report),
        "notes": list(verification.notes),
        "edits": list(verification.edits),
        "unproven": list(verification.unproven),
        "node_data": None if verification.node_data is None else str(verification.node_data),
    }


def text(console: Console, data: Data) -> None:
    """The comparison, then the notes. Of an edited export, the edits come first, and the verdict is about them."""
    passed = data["parity"]["passed"]
    if data["edits"]:
        console.print(Text(f"the manifest calls it edited: {'; '.join(data['edits'])}"))
        parity.comparison(console, data["parity"])
        if data["unproven"]:
            unproven = ", ".join(data["unproven"])
            because = "they depend on layers that the manifest only names"
            console.print(Text(f"not compared, {because}: {unproven}", style="yellow"))
        parity.verdict(console, _verdict(passed, data["unproven"]), passed=passed)
    else:
        parity.text(console, data["parity"])
    lines(console, [f"note: {note}" for note in data["notes"]])
    if data["node_data"] is not None:
        lines(console, [f"wrote {data['node_data']}"])


def _verdict(passed: bool, unproven: list[str]) -> str:
    """The verdict on an edited export."""
    if not passed:
        return "NOT what its manifest says"
    return (
        "as the manifest says, in all that can be compared" if unproven else "the module, edited as the manifest says"
    )
