"""What a text export's manifest says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from surgery.export.manifest import read_manifest


@dataclass(frozen=True)
class TextFacts:
    """What a text export's manifest says: its most tokens in a row, whether they are SentencePiece's, and which."""

    seq_length: int
    pieces: bool
    vocabulary: str


def read_text_facts(export: Path) -> TextFacts | None:
    """What a text export says of itself; None of any other SavedModel, or where it is damaged."""
    try:
        said = read_manifest(export)["text"]
        return TextFacts(int(said["seq_length"]), bool(said["pieces"]), str(said["vocabulary"]))
    except (OSError, ValueError, LookupError, TypeError):
        return None
