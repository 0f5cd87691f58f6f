"""Report of edits that are planned and not written: the places that they hit, and the outputs that stay or change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from surgery.reports import edit
from surgery.reports.page import Data
from surgery.sources.handles import without_secrets

if TYPE_CHECKING:
    from surgery.jobs.edit import EditedModel

SCHEMA = 1


def data(model: EditedModel) -> Data:
    """The places that each edit hits, the blocks that are left, and the outputs that will stay bit-equal or change."""
    edited = model.edited
    return {
        "module": without_secrets(model.module),
        **edit.effects(edited),
        "signatures": {name: list(outputs) for name, outputs in edited.plan.signatures.items()},
    }


def text(console: Console, data: Data) -> None:
    """Edits, blocks and outputs."""
    edit.effects_text(console, data)
