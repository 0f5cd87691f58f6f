"""The id of padding of an export, by which a missing mask is made."""

from __future__ import annotations

from pathlib import Path

from surgery.errors import ModuleError
from surgery.explanation.tokenization import FAIRSEQ, SPECIAL, VOCABULARY, XLM_R_PIECES
from surgery.export.manifest import read_manifest
from surgery.formats.text_files import read_lines
from surgery.module import InspectedModule

PAD = SPECIAL[0]


def padding_id(module: InspectedModule) -> int:
    """The id from which the encoder counts positions, or that of its tokenizer's padding; 0 without either.

    A vocabulary has it at the line of [PAD]. SentencePiece models have it at 0, as Google's have, except for XLM-R's,
    which BERTs for many languages have, too. Raises ModuleError for a vocabulary that cannot be read.
    """
    try:
        return int(read_manifest(Path(module.folder))["architecture"]["pad_token_id"])
    except (OSError, ValueError, LookupError, TypeError):
        pass
    if XLM_R_PIECES in module.assets:
        return FAIRSEQ.index("<pad>")
    if VOCABULARY not in module.assets:
        return 0
    try:
        lines = read_lines(Path(module.folder) / module.assets[VOCABULARY])
    except (OSError, ValueError) as error:
        raise ModuleError(
            f"reading the vocabulary of {module.name}: {getattr(error, 'strerror', None) or error}",
            hint="the export is damaged: write it again with surgery convert",
        ) from error
    return lines.index(PAD) if PAD in lines else 0
