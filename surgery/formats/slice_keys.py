"""The binary keys under which a checkpoint stores the slices of a partitioned variable.

Such a key is the tensor's name, the number of axes, and each axis's start and length in an encoding whose bytes sort as
the numbers do (tensorflow/core/util/saved_tensor_slice_util.cc, tensorflow/core/lib/strings/ordered_code.cc). The
encoding is TensorFlow's own; no package has it.
"""

from __future__ import annotations

from typing import NamedTuple

SLICE_KEY = b"\0"
"""The beginning of the key of every slice. No key of a tensor begins so."""
WHOLE_AXIS = -1
"""The length in a key that means the whole axis."""


class Extent(NamedTuple):
    """A slice along one axis.

    Attributes:
        start: Its first position.
        length: Its length; None for the whole axis.
    """

    start: int
    length: int | None


Slice = tuple[Extent, ...]
"""A part of a tensor, axis by axis."""


def slice_key(name: bytes, part: Slice) -> bytes:
    """The key of one slice of a tensor, whose name is `name`."""
    ended = name.replace(b"\0", b"\0\xff") + b"\0\1"
    axes = b"".join(
        _signed(extent.start) + _signed(WHOLE_AXIS if extent.length is None else extent.length) for extent in part
    )
    return SLICE_KEY + ended + _unsigned(len(part)) + axes


def _unsigned(number: int) -> bytes:
    """A number as TensorFlow's keys have it: the count of its bytes, and its big-endian bytes without leading zeros."""
    digits = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return bytes([len(digits)]) + digits


def _signed(number: int) -> bytes:
    """Big-endian two's complement, seven bits per byte, with as many leading bits flipped as there are bytes."""
    length = (number if number >= 0 else ~number).bit_length() // 7 + 1
    header = ((1 << length) - 1) << (8 * length - length)
    return ((number & ((1 << 8 * length) - 1)) ^ header).to_bytes(length, "big")
