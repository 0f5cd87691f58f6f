"""Numbers in groups of seven bits (varints), as protobuf and LevelDB's tables write them."""

from __future__ import annotations


def varint(data: bytes, at: int) -> tuple[int, int]:
    """The number in groups of seven bits that begins at a position, and the position after it.

    Raises ValueError for a number of more than 64 bits, IndexError where the data end.
    """
    value = shift = 0
    while shift < 64:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
    raise ValueError(f"a number of more than 64 bits at byte {at}")
