"""How deep the messages of a protobuf message that does not parse are nested.

protobuf reads a hundred levels and no more, and does not say which of the two was the matter: depth, or damage. No
library tells it, so the bytes are walked (protobuf.dev/programming-guides/encoding). Only a file that has failed to
parse is, which costs some seconds for the largest.
"""

from __future__ import annotations

from typing import Any

from surgery.formats.varints import varint

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types, in the three lowest bits of a field's tag."""


def deeper(descriptor: Any, data: bytes, levels: int) -> bool:
    """Whether messages of a message stand in one another on more than so many levels. Damaged parts are left out."""
    stack = [(descriptor, 0, len(data), 1)]
    while stack:
        kind, at, end, level = stack.pop()
        if level > levels:
            return True
        try:
            while at < end:
                tag, at = varint(data, at)
                if tag & 7 == BYTES:
                    size, at = varint(data, at)
                    field = kind.fields_by_number.get(tag >> 3)
                    if field is not None and field.message_type is not None and at + size <= end:
                        stack.append((field.message_type, at, at + size, level + 1))
                    at += size
                elif tag & 7 == VARINT:
                    _, at = varint(data, at)
                elif tag & 7 in (FIXED64, FIXED32):
                    at += 8 if tag & 7 == FIXED64 else 4
                else:
                    break
        except (ValueError, IndexError):
            continue
    return False
