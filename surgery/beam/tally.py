"""How many rows there are and a checksum of which they are: what was read must be what was written.

An engine promises that it loses nothing and repeats nothing. Where it does not keep the promise, the counts or the
checksums differ.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import NamedTuple

from surgery.beam.corpus import Rejected, Row


class Tally(NamedTuple):
    """What was read, or what was written.

    Attributes:
        rows: Texts.
        rejected: Lines that are no text.
        checksum: The sum of the CRC-32 of each one's file and line, in any order.
    """

    rows: int = 0
    rejected: int = 0
    checksum: int = 0


def tally(rows: Iterable[Row] = (), rejected: Iterable[Rejected] = ()) -> Tally:
    """Of rows and of lines that are no text."""
    texts, others = list(map(_checksum, rows)), list(map(_checksum, rejected))
    return Tally(len(texts), len(others), sum(texts) + sum(others))


def total(tallies: Iterable[Tally]) -> Tally:
    """All of them together."""
    return Tally(*map(sum, zip(Tally(), *tallies, strict=True)))


def _checksum(each: Row | Rejected) -> int:
    return zlib.crc32(f"{each.source}:{each.line}".encode("utf-8", "surrogateescape"))
