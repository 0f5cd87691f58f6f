"""Facts about a text export, as its manifest states them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from surgery.export.manifest import read_manifest


@dataclass(frozen=True, kw_only=True)
class TextFacts:
    """Facts about a text export.

    Attributes:
        seq_length: The most tokens of a row; longer texts are cut.
        pieces: True where SentencePiece makes the tokens, False where WordPiece does.
        vocabulary: The vocabulary's file, relative to the export.
    """

    seq_length: int
    pieces: bool
    vocabulary: str


def read_text_facts(export: Path) -> TextFacts | None:
    """The facts in a text export's manifest; None for any other SavedModel, and for a damaged manifest."""
    try:
        facts = read_manifest(export)["text"]
        return TextFacts(
            seq_length=int(facts["seq_length"]), pieces=bool(facts["pieces"]), vocabulary=str(facts["vocabulary"])
        )
    except (OSError, ValueError, LookupError, TypeError, OverflowError):
        return None
