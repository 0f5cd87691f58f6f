"""The index of a checkpoint, `PREFIX.index`, without TensorFlow: keys, dtypes, shapes and positions of the values.

An index is a sorted string table in LevelDB's format (tensorflow/core/lib/io/format.cc, table.cc): blocks of entries
whose keys share prefixes, an index block that points at them, and a footer with a magic number. The key "" holds a
BundleHeaderProto, every other key a BundleEntryProto (tensorflow/core/protobuf/tensor_bundle.proto). A partitioned
variable has an entry of its own, without bytes, that lists its slices; each slice has an entry under a binary key.

No library reads it: LevelDB's bindings open a database folder, not a single table.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import google_crc32c
from google.protobuf import message
from tensorboard.compat.proto import tensor_shape_pb2

from surgery import limits
from surgery.errors import ModuleError
from surgery.formats.declared import declare
from surgery.formats.regular_files import check_regular
from surgery.formats.slice_keys import SLICE_KEY, Extent, Slice, slice_key
from surgery.formats.tensors import Shape, dtype_name, shape_of
from surgery.formats.varints import varint

MAGIC = 0xDB4775248B80FB57
FOOTER = 48
"""Bytes of a table's footer."""
TRAILER = 5
"""Bytes after each block: one for its compression, and four for a masked CRC-32C of the block and that byte."""
UNCOMPRESSED = 0
LITTLE_ENDIAN = 0


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A tensor of a checkpoint, or one slice of a tensor.

    Attributes:
        dtype: TensorFlow's Python name, such as "float32".
        shape: The shape of the tensor, or of the slice.
        shard: The number of the file that has its bytes.
        offset: The position of its first byte in that file.
        nbytes: Its size in bytes; for a partitioned tensor, that of all slices together.
        checksum: The masked CRC-32C of its bytes.
        slices: The parts of which a partitioned tensor consists; empty for a tensor in one piece.
    """

    dtype: str
    shape: Shape
    shard: int
    offset: int
    nbytes: int
    checksum: int
    slices: tuple[Slice, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Index:
    """All entries of a checkpoint.

    Attributes:
        shards: The number of files over which the values are spread.
        entries: The tensors by key.
        slices: The parts of partitioned tensors by their binary key (`formats.slice_keys`).
    """

    shards: int
    entries: Mapping[str, Entry]
    slices: Mapping[bytes, Entry] = field(default_factory=dict)


def read_index(path: Path) -> Index:
    """Reads `PREFIX.index`.

    Raises ModuleError when the file is no index, is cut short, has a wrong checksum, belongs to big-endian values, or
    has entries that no writer makes, and LimitError when it is too large.
    """
    check_regular(path)
    try:
        limits.check("index_bytes", path.stat().st_size, f"reading {path}")
        data = path.read_bytes()
    except OSError as error:
        raise ModuleError(f"reading {path}: {error.strerror}", hint="check the path and its permissions") from error
    try:
        found = dict(_table(data))
        limits.check("variables", len(found), f"reading {path}")
        header = _Header.FromString(found.pop(b""))
        slices = {key: _entry(value, {}) for key, value in found.items() if key.startswith(SLICE_KEY)}
        entries = {key.decode(): _entry(value, slices, key) for key, value in found.items() if key not in slices}
    except (ValueError, LookupError, struct.error, message.DecodeError) as error:
        raise ModuleError(
            f"reading {path}: expected the index of a checkpoint, found {len(data)} bytes that do not read as one "
            f"({error or type(error).__name__})",
            hint="the file is truncated or damaged: fetch the checkpoint again",
        ) from error
    if header.endianness != LITTLE_ENDIAN:
        raise ModuleError(
            f"reading {path}: expected values in little-endian byte order, found big-endian ones",
            hint="restore the checkpoint where it was written, and save it on a little-endian machine",
        )
    return Index(shards=header.num_shards, entries=entries, slices=slices)


def masked_crc32c(data: Any) -> int:
    """The checksum of bytes as TensorFlow stores it: CRC-32C, rotated and shifted (tsl/lib/hash/crc32c.h).

    Args:
        data: Bytes, or a contiguous array of bytes.
    """
    return masked(google_crc32c.value(data))


def masked(checksum: int) -> int:
    """A CRC-32C in the form in which TensorFlow stores it."""
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _entry(value: bytes, slices: Mapping[bytes, Entry], key: bytes = b"") -> Entry:
    entry = _Entry.FromString(value)
    shape = shape_of(entry.shape)
    if shape is None or None in shape:
        raise ValueError(f"a tensor with {len(entry.shape.dim)} axes, or with an axis of no known size")
    if min(entry.shard_id, entry.offset, entry.size) < 0:
        raise ValueError("a tensor with a negative shard, position or size")
    parts = tuple(
        tuple(Extent(extent.start, extent.length if extent.HasField("length") else None) for extent in part.extent)
        for part in entry.slices
    )
    return Entry(
        dtype=dtype_name(entry.dtype),
        shape=shape,
        shard=entry.shard_id,
        offset=entry.offset,
        nbytes=sum(slices[slice_key(key, part)].nbytes for part in parts) if parts else entry.size,
        checksum=entry.crc32c,
        slices=parts,
    )


def _table(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a table, in the order of the file."""
    if len(data) < FOOTER or struct.unpack("<Q", data[-8:])[0] != MAGIC:
        raise ValueError("no table magic number at its end")
    at = len(data) - FOOTER
    for _ in range(2):  # skips the handle of the metaindex, which is empty in a checkpoint
        _, at = varint(data, at)
    last: bytes | None = None
    for most, handle in _block(data, *_handle(data, at)):
        for key, value in _block(data, *_handle(handle, 0)):
            if (last is not None and key <= last) or key > most:
                raise ValueError(f"the key {key[:100]!r} is out of order, or there twice")
            yield key, value
            last = key
        last = most


def _handle(data: bytes, at: int) -> tuple[int, int]:
    """Offset and size of a block."""
    offset, at = varint(data, at)
    size, _ = varint(data, at)
    return offset, size


def _block(data: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a block.

    An entry stores the length of the beginning that its key shares with the last key, the rest of the key, and the
    value.
    """
    block, trailer = data[offset : offset + size], data[offset + size : offset + size + TRAILER]
    kind, checksum = struct.unpack("<BI", trailer)
    if masked_crc32c(block + trailer[:1]) != checksum:
        raise ValueError(f"the checksum of the block at byte {offset} does not fit")
    if kind != UNCOMPRESSED:
        raise ValueError(f"the block at byte {offset} is compressed, which TensorFlow's writer never does")
    count = struct.unpack("<I", block[-4:])[0]
    end = size - 4 * (count + 1)
    if count < 1 or end < 0:
        raise ValueError(f"the block at byte {offset} has {count} restart points in {size} bytes")
    restarts = set(struct.unpack(f"<{count}I", block[end:-4]))
    at, key = 0, b""
    while at < end:
        begin = at
        shared, at = varint(block, at)
        rest, at = varint(block, at)
        length, at = varint(block, at)
        if shared > len(key) or at + rest + length > end or (begin in restarts and shared):
            raise ValueError(f"an entry of the block at byte {offset} does not fit into it")
        restarts.discard(begin)
        key = key[:shared] + block[at : at + rest]
        at += rest
        yield key, block[at : at + length]
        at += length
    # A reader that seeks begins at a restart point. All of them are entries, or it would read others than we do.
    if restarts - {0}:
        raise ValueError(f"the block at byte {offset} has a restart point where no entry begins")


_MESSAGES = declare(
    """
    name: "surgery/tensor_bundle.proto" package: "surgery" syntax: "proto2"
    message_type {
      name: "BundleHeaderProto"
      field { name: "num_shards" number: 1 type: TYPE_INT32 label: LABEL_OPTIONAL }
      field { name: "endianness" number: 2 type: TYPE_INT32 label: LABEL_OPTIONAL }
    }
    message_type {
      name: "Extent"
      field { name: "start" number: 1 type: TYPE_INT64 label: LABEL_OPTIONAL }
      field { name: "length" number: 2 type: TYPE_INT64 label: LABEL_OPTIONAL }
    }
    message_type {
      name: "TensorSliceProto"
      field { name: "extent" number: 1 type: TYPE_MESSAGE label: LABEL_REPEATED type_name: ".surgery.Extent" }
    }
    message_type {
      name: "BundleEntryProto"
      field { name: "dtype" number: 1 type: TYPE_INT32 label: LABEL_OPTIONAL }
      field {
        name: "shape" number: 2 type: TYPE_MESSAGE label: LABEL_OPTIONAL type_name: ".tensorboard.TensorShapeProto"
      }
      field { name: "shard_id" number: 3 type: TYPE_INT32 label: LABEL_OPTIONAL }
      field { name: "offset" number: 4 type: TYPE_INT64 label: LABEL_OPTIONAL }
      field { name: "size" number: 5 type: TYPE_INT64 label: LABEL_OPTIONAL }
      field { name: "crc32c" number: 6 type: TYPE_FIXED32 label: LABEL_OPTIONAL }
      field { name: "slices" number: 7 type: TYPE_MESSAGE label: LABEL_REPEATED type_name: ".surgery.TensorSliceProto" }
    }
    """,
    tensor_shape_pb2.DESCRIPTOR,
)
_Header, _Entry = _MESSAGES["BundleHeaderProto"], _MESSAGES["BundleEntryProto"]
