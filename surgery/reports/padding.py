"""Where an export leaves padding out, in one sentence for the reports."""

from __future__ import annotations

from surgery.reports.page import Data


def sentence(packed: Data) -> str:
    """What is done with padding by the signatures `packed`, each with its outputs whose rows of padding are zeros."""
    zeros = [name for name, outputs in packed.items() if outputs]
    shown = f"; its rows are zeros in the outputs of {', '.join(zeros)}" if zeros else ""
    return f"left out of {', '.join(packed)}{shown}"
