"""Batches of texts of similar length, so that few of the computed positions are padding."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Protocol, TypeVar

WINDOW = 8192
"""Texts that are sorted by length together; held in memory while they are read."""
MOST_ROWS = 256
SPECIAL = 2
"""[CLS] and [SEP]."""

PIECES = re.compile(r"[A-Za-z0-9]{1,6}|[^\sA-Za-z0-9]")
"""One match is about one WordPiece token: up to six letters of a word, or any other character alone."""


class WithTexts(Protocol):
    """What is put into batches."""

    @property
    def texts(self) -> Sequence[str]:
        """One text per input of the signature."""


Row = TypeVar("Row", bound=WithTexts)


def estimated_tokens(texts: Sequence[str], limit: int) -> int:
    """Roughly how many tokens a row will have, at most `limit`. Only the order of rows depends on it."""
    room = 16 * limit
    return min(SPECIAL + sum(sum(1 for _ in PIECES.finditer(text[:room])) for text in texts), limit)


def batches(rows: Iterable[Row], *, limit: int, tokens: int) -> Iterator[list[Row]]:
    """Batches of rows of similar length, each with at most about `tokens` tokens, padding included.

    The same rows always give the same batches, because the last bits of an output depend on the batch it is run in.
    """
    rows = iter(rows)
    while window := list(islice(rows, WINDOW)):
        lengths = [estimated_tokens(row.texts, limit) for row in window]
        batch: list[Row] = []
        width = 0
        # From the longest to the shortest: the first row of a batch decides its width.
        for index in sorted(range(len(window)), key=lambda i: (-lengths[i], i)):
            if batch and (len(batch) == MOST_ROWS or (len(batch) + 1) * width > tokens):
                yield batch
                batch = []
            if not batch:
                width = lengths[index]
            batch.append(window[index])
        yield batch
