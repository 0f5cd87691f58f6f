"""The attention of a sentence as a document: its tokens, and the maps of every head, computed by the export itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from surgery.arguments import argument
from surgery.errors import UsageError
from surgery.jobs.load import load_export
from surgery.pages.section import Data
from surgery.plain import plain
from surgery.planning.texts import text_destination
from surgery.plots import Attention
from surgery.sources.files import SAVED_MODEL
from surgery.sources.handles import without_secrets

SCHEMA = 1
DECIMALS = 4
"""Decimals of a probability: a map shows two, and a page of a large encoder would be megabytes larger with all."""
LONGEST = 64
"""The most tokens of a sentence: a map of more cannot be read, and a page has the maps of all heads."""


def attention_of(exported: str, text: str, *, trust: bool = False) -> Data:
    """The attention maps of a text as a document.

    An export that takes tokens has its text export beside it, as `convert` writes them, which computes the maps.

    Raises UsageError for an export that takes no texts or has no attention maps, and for a text of more than LONGEST
    tokens; UntrustedError for one that is not clean.
    """
    beside = text_destination(Path(exported))
    runs = str(beside) if (beside / SAVED_MODEL).is_file() else exported
    with load_export(runs, trust=trust) as loaded:
        return document_of(loaded.attention(text), text, runs, loaded.seq_length)


def document_of(attention: Attention, text: str, exported: str, seq_length: int) -> Data:
    """The document of attention maps, which `exported` computed of a text in rows of at most `seq_length` tokens."""
    count = len(attention.tokens)
    if count > LONGEST:
        raise UsageError(
            f"{argument('text', text)}: it has {count} tokens, a page shows the attention of at most {LONGEST}",
            hint="give a shorter text",
        )
    return {
        "schema": SCHEMA,
        "exported": without_secrets(exported),
        "text": text,
        "seq_length": seq_length,
        "tokens": list(attention.tokens),
        "blocks": list(attention.blocks),
        "probabilities": plain(np.round(attention.probabilities.astype(np.float64), DECIMALS).tolist()),
    }
