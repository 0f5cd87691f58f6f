"""What a text export's manifest says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from surgery.export.manifest import read_manifest


@dataclass(frozen=True, kw_only=True)
class TextFacts:
    """What a text export's manifest says.

    Attributes:
        seq_length: The most tokens of a row; longer texts are cut.
        pieces: True where SentencePiece makes the tokens, False where WordPiece does.
        vocabulary: The vocabulary's file, relative to the export.
    """

    seq_length: int
    pieces: bool
    vocabulary: str


def read_text_facts(export: Path) -> TextFacts | None:
    """What a text export says of itself; None of any other SavedModel, or where it is damaged."""
    try:
        facts = read_manifest(export)["text"]
        return TextFacts(
            seq_length=int(facts["seq_length"]), pieces=bool(facts["pieces"]), vocabulary=str(facts["vocabulary"])
        )
    except (OSError, ValueError, LookupError, TypeError):
        return None
