"""The table in which a checkpoint's index is stored, and messages without their schema: read, and written anew.

The format is described in surgery.formats.checkpoint_index. What is written here has the checksums that fit it, but
need not be an index that anybody would write.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from surgery.formats.checkpoint_index import FOOTER, MAGIC, masked_crc32c
from surgery.formats.varints import varint

Pairs = list[tuple[bytes, bytes]]
"""Keys and values of a table."""
Fields = list[tuple[int, int, int | bytes]]
"""Fields of a message as they stand in its bytes: number, wire type, value."""


def read_table(data: bytes) -> Pairs:
    """Keys and values of a sound index."""
    at = len(data) - FOOTER
    for _ in range(2):
        _, at = varint(data, at)
    offset, at = varint(data, at)
    size, _ = varint(data, at)
    found: Pairs = []
    for _, handle in _entries(data[offset : offset + size]):
        start, at = varint(handle, 0)
        length, _ = varint(handle, at)
        found += _entries(data[start : start + length])
    return found


def _entries(block: bytes) -> Pairs:
    end = len(block) - 4 * (struct.unpack("<I", block[-4:])[0] + 1)
    at, key, found = 0, b"", []
    while at < end:
        shared, at = varint(block, at)
        rest, at = varint(block, at)
        length, at = varint(block, at)
        key = key[:shared] + block[at : at + rest]
        found.append((key, block[at + rest : at + rest + length]))
        at += rest + length
    return found


def table(
    pairs: Pairs, change_block: Callable[[bytes], bytes] = bytes, kind: int = 0, handle: bytes | None = None
) -> bytes:
    """A table with one block of these keys and values, in this order.

    Args:
        pairs: Keys and values.
        change_block: What is done to the bytes of the block before its checksum is computed.
        kind: The number of its compression.
        handle: Offset and size of the block as varints; None for the right ones.
    """
    block = change_block(_block(pairs))
    written = _with_trailer(block, kind)
    right = number_as_varint(0) + number_as_varint(len(block))
    index = _block([(pairs[-1][0] if pairs else b"", right if handle is None else handle)])
    empty = _block([])
    handles = b""
    for other in (empty, index):
        handles += number_as_varint(len(written)) + number_as_varint(len(other))
        written += _with_trailer(other, 0)
    return written + handles.ljust(FOOTER - 8, b"\0") + struct.pack("<Q", MAGIC)


def _block(pairs: Pairs) -> bytes:
    entries = b"".join(
        b"\0" + number_as_varint(len(key)) + number_as_varint(len(value)) + key + value for key, value in pairs
    )
    return entries + struct.pack("<II", 0, 1)


def _with_trailer(block: bytes, kind: int) -> bytes:
    trailer = bytes([kind])
    return block + trailer + struct.pack("<I", masked_crc32c(block + trailer))


def number_as_varint(value: int) -> bytes:
    """A number in groups of seven bits, the lowest first."""
    groups = []
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


def read_fields(data: bytes) -> Fields:
    """The fields of a message, or of what reads as one; no field where nothing does."""
    at, found = 0, []
    try:
        while at < len(data):
            tag, at = varint(data, at)
            number, wire = tag >> 3, tag & 7
            if wire == 0:
                value: int | bytes
                value, at = varint(data, at)
            elif wire == 2:
                length, at = varint(data, at)
                value, at = data[at : at + length], at + length
            elif wire == 5:
                (value,) = struct.unpack_from("<I", data, at)
                at += 4
            elif wire == 1:
                (value,) = struct.unpack_from("<Q", data, at)
                at += 8
            else:
                return []
            found.append((number, wire, value))
    except (ValueError, LookupError, struct.error):
        return []
    return found


def write_fields(fields: Fields) -> bytes:
    """The bytes of a message."""
    written = b""
    for number, wire, value in fields:
        written += number_as_varint(number << 3 | wire)
        if isinstance(value, bytes):
            written += number_as_varint(len(value)) + value
        elif wire == 0:
            written += number_as_varint(value)
        else:
            written += struct.pack("<I" if wire == 5 else "<Q", value)
    return written
