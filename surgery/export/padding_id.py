"""The id of padding of an export, by which a missing mask is made."""

from __future__ import annotations

from pathlib import Path

from surgery.errors import ModuleError
from surgery.explanation.tokenization import SPECIAL, VOCABULARY
from surgery.export.manifest import read_manifest
from surgery.formats.text_files import read_lines
from surgery.module import InspectedModule

PAD = SPECIAL[0]


def padding_id(module: InspectedModule) -> int:
    """The id from which the encoder counts positions, or the line of [PAD] in the vocabulary; 0 without either.

    SentencePiece models of BERTs have it at 0, as Google's have. Raises ModuleError for a vocabulary that cannot be
    read.
    """
    try:
        return int(read_manifest(Path(module.folder))["architecture"]["pad_token_id"])
    except (OSError, ValueError, LookupError, TypeError):
        pass
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
