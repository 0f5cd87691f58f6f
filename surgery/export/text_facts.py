"""Facts about a text export, as its manifest states them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from surgery.errors import ModuleError
from surgery.explanation.tokenization import FAIRSEQ
from surgery.export.manifest import read_manifest
from surgery.formats.text_files import read_lines
from surgery.sources.files import inside

MOST_TOKENS = 512
"""The most tokens of a row where the SavedModel does not say: BERT's positions. Only batch sizes depend on it."""


@dataclass(frozen=True, kw_only=True)
class TextFacts:
    """Facts about a text export.

    Attributes:
        seq_length: The most tokens of a row; longer texts are cut.
        pieces: True where SentencePiece makes the tokens, False where WordPiece does.
        fairseq: True where SentencePiece's ids are moved as in XLM-R, see surgery.explanation.tokenization.FAIRSEQ.
        vocabulary: The vocabulary's file, relative to the export.
    """

    seq_length: int
    pieces: bool
    fairseq: bool = False
    vocabulary: str


def read_text_facts(export: Path) -> TextFacts | None:
    """The facts in a text export's manifest; None for any other SavedModel, and for a damaged manifest."""
    try:
        facts = read_manifest(export)["text"]
        return TextFacts(
            seq_length=int(facts["seq_length"]),
            pieces=bool(facts["pieces"]),
            fairseq=facts.get("fairseq", False) is True,
            vocabulary=str(facts["vocabulary"]),
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError):
        return None


def read_vocabulary(folder: Path, facts: TextFacts | None) -> tuple[str, ...]:
    """The tokens by id, where the export names the vocabulary that it tokenizes with."""
    if facts is None:
        return ()
    path = inside(folder, facts.vocabulary)
    try:
        if facts.pieces:
            from sentencepiece import SentencePieceProcessor

            pieces = SentencePieceProcessor(model_file=str(path))
            named = tuple(pieces.id_to_piece(i) for i in range(pieces.get_piece_size()))
            return (*FAIRSEQ, *named[len(FAIRSEQ) - 1 :]) if facts.fairseq else named
        return tuple(read_lines(path))
    except (OSError, ValueError, RuntimeError) as error:
        raise ModuleError(
            f"reading the vocabulary {path}: {error}", hint="the export is damaged: write it again"
        ) from error
