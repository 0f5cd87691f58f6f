"""Report of a published edit: the places that it hit, the outputs that stayed bit-equal or changed, the comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from surgery.plain import plain
from surgery.reports import padding, parity
from surgery.reports.page import Data, lines, title

if TYPE_CHECKING:
    from surgery.jobs.edit import EditedExport
    from surgery.planning.edits import EditedPlan

SCHEMA = 1


def data(export: EditedExport) -> Data:
    """The places that each edit hit, the blocks that are left, and the outputs that stayed bit-equal or changed."""
    edited = export.edited
    return {
        "destination": str(export.destination),
        **effects(edited),
        "signatures": {name: list(outputs) for name, outputs in edited.plan.signatures.items()},
        "packed": plain(edited.plan.packed),
        "parity": parity.data(export.report),
    }


def text(console: Console, data: Data) -> None:
    """Edits, blocks and outputs; then the comparison and its verdict.

    The verdict cannot be "the same function", because an edit changes the function on purpose.
    """
    effects_text(console, data)
    parity.comparison(console, data["parity"])
    equal = len(data["unchanged"])
    outputs = "1 output is" if equal == 1 else f"{equal} outputs are"
    unchanged = f"; {outputs} bit-equal to the unedited export's" if equal else ""
    parity.verdict(console, f"the export computes the edited encoder{unchanged}", passed=True)
    if data["packed"]:
        lines(console, [f"padding is {padding.sentence(data['packed'])}"])
    lines(console, [f"wrote {data['destination']}"])


def effects(edited: EditedPlan) -> Data:
    """What the edits do: to which places, to which blocks, to which outputs."""
    return {
        "edits": [{"edit": edit, "places": count} for edit, count in edited.hits],
        "blocks": [{"origin": block.origin, "pruned_heads": list(block.pruned)} for block in edited.blocks],
        "unchanged": list(edited.unchanged_outputs),
        "changed": list(edited.changed_outputs),
        "dropped": len(edited.plan.weights.dropped),
    }


def effects_text(console: Console, data: Data) -> None:
    """Edits, blocks and outputs."""
    title(console, "Edits")
    for applied in data["edits"]:
        places = "1 place" if applied["places"] == 1 else f"{applied['places']} places"
        console.print(escape(f"{applied['edit']}: {places}"))
    blocks = ", ".join(str(block["origin"]) for block in data["blocks"])
    console.print(f"blocks now, by their number in the module: {blocks}")
    console.print("bit-equal to the unedited export: " + (", ".join(data["unchanged"]) or "nothing"))
    console.print("changed by intent: " + (", ".join(data["changed"]) or "nothing"), soft_wrap=True)
