"""Batches of texts of like length, so that little of what is computed is padding."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from surgery.beam.corpus import Row

WINDOW = 8192
"""Texts that are sorted by length together; held in memory while they are read."""
MOST_ROWS = 256
SPECIAL = 2
"""[CLS] and [SEP]."""

PIECES = re.compile(r"[A-Za-z0-9]{1,6}|[^\sA-Za-z0-9]")
"""About a WordPiece token each: up to six letters of a word, any other character alone."""


def estimated_tokens(texts: Sequence[str], limit: int) -> int:
    """How many tokens a row will have, roughly, and at most `limit`: only the order of rows hangs on it."""
    room = 16 * limit
    return min(SPECIAL + sum(sum(1 for _ in PIECES.finditer(text[:room])) for text in texts), limit)


def batches(rows: Iterable[Row], *, limit: int, tokens: int) -> Iterator[list[Row]]:
    """Rows in batches of like length, in each at most about `tokens` tokens, padding included.

    The same rows give the same batches, whoever computes them: what a model returns hangs on its batch by rounding.
    """
    rows = iter(rows)
    while window := list(islice(rows, WINDOW)):
        lengths = [estimated_tokens(row.texts, limit) for row in window]
        batch: list[Row] = []
        width = 0
        # From the longest to the shortest: the first of a batch says how wide it is.
        for index in sorted(range(len(window)), key=lambda i: (-lengths[i], i)):
            if batch and (len(batch) == MOST_ROWS or (len(batch) + 1) * width > tokens):
                yield batch
                batch = []
            if not batch:
                width = lengths[index]
            batch.append(window[index])
        yield batch
