"""The index of a checkpoint, `PREFIX.index`, without TensorFlow: keys, dtypes, shapes and shards; no values.

An index is a sorted string table in LevelDB's format (tensorflow/core/lib/io/format.cc, table.cc): blocks of entries
whose keys share prefixes, an index block that points at them, and a footer with a magic number. The key "" holds a
BundleHeaderProto, every other key a BundleEntryProto (tensorflow/core/protobuf/tensor_bundle.proto), which
tensorboard does not ship and which are declared here at run time. Values stay with TensorFlow's own reader.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, message, message_factory
from tensorboard.compat.proto import tensor_shape_pb2
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

from surgery.errors import ModuleError
from surgery.formats.tensors import Shape, dtype_name, shape_of

MAGIC = 0xDB4775248B80FB57
FOOTER = 48
TRAILER = 5
"""After each block: a byte that tells its compression, and a masked CRC32C of block and byte."""
UNCOMPRESSED = 0


@dataclass(frozen=True)
class Entry:
    """A tensor of a checkpoint: its dtype and shape, and which shard has its bytes."""

    dtype: str
    shape: Shape
    shard: int
    nbytes: int


@dataclass(frozen=True)
class Index:
    """All entries of a checkpoint by key, and over how many files their values are spread."""

    shards: int
    entries: Mapping[str, Entry]


def read_index(path: Path) -> Index:
    """Reads `PREFIX.index`. Raises ModuleError when it is no index, is cut short, or its checksums do not fit."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModuleError(f"reading {path}: {error.strerror}", hint="check the path and its permissions") from error
    try:
        found = dict(_table(data))
        header = _Header.FromString(found.pop(b""))
        return Index(header.num_shards, {key.decode(): _entry(value) for key, value in found.items()})
    except (ValueError, LookupError, struct.error, message.DecodeError) as error:
        raise ModuleError(
            f"reading {path}: expected the index of a checkpoint, found {len(data)} bytes that do not read as one "
            f"({error or type(error).__name__})",
            hint="the file is truncated or damaged: fetch the checkpoint again",
        ) from error


def _entry(value: bytes) -> Entry:
    entry = _Entry.FromString(value)
    shape = shape_of(entry.shape)
    if shape is None:
        raise ValueError("a tensor of unknown rank")
    return Entry(dtype_name(entry.dtype), shape, entry.shard_id, entry.size)


def _table(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a table, in order."""
    if len(data) < FOOTER or struct.unpack("<Q", data[-8:])[0] != MAGIC:
        raise ValueError("no table magic number at its end")
    at = len(data) - FOOTER
    for _ in range(2):  # the handle of the metaindex, which bundles leave empty
        _, at = _varint(data, at)
    for _, handle in _block(data, *_handle(data, at)):
        yield from _block(data, *_handle(handle, 0))


def _handle(data: bytes, at: int) -> tuple[int, int]:
    """Offset and size of a block."""
    offset, at = _varint(data, at)
    size, _ = _varint(data, at)
    return offset, size


def _block(data: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Entries of a block: how much of the last key they share, the rest of the key, and the value."""
    block, trailer = data[offset : offset + size], data[offset + size : offset + size + TRAILER]
    kind, checksum = struct.unpack("<BI", trailer)
    if masked_crc32c(block + trailer[:1]) != checksum:
        raise ValueError(f"the checksum of the block at byte {offset} does not fit")
    if kind != UNCOMPRESSED:
        raise ValueError(f"the block at byte {offset} is compressed, which TensorFlow's writer never does")
    end = size - 4 * (struct.unpack("<I", block[-4:])[0] + 1)
    at, key = 0, b""
    while at < end:
        shared, at = _varint(block, at)
        rest, at = _varint(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + rest]
        at += rest
        yield key, block[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number in groups of seven bits, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def _messages() -> tuple[Any, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="surgery/tensor_bundle.proto",
        package="surgery",
        syntax="proto3",
        dependency=[tensor_shape_pb2.DESCRIPTOR.name],
    )
    int32, int64, enum_as_int32, optional = 5, 3, 5, 1
    header = file.message_type.add(name="BundleHeaderProto")
    header.field.add(name="num_shards", number=1, type=int32, label=optional)
    entry = file.message_type.add(name="BundleEntryProto")
    entry.field.add(name="dtype", number=1, type=enum_as_int32, label=optional)
    shape = "." + tensor_shape_pb2.TensorShapeProto.DESCRIPTOR.full_name
    entry.field.add(name="shape", number=2, type=11, label=optional, type_name=shape)
    entry.field.add(name="shard_id", number=3, type=int32, label=optional)
    entry.field.add(name="size", number=5, type=int64, label=optional)
    pool = tensor_shape_pb2.DESCRIPTOR.pool
    pool.AddSerializedFile(file.SerializeToString())
    names = ("BundleHeaderProto", "BundleEntryProto")
    made = [message_factory.GetMessageClass(pool.FindMessageTypeByName(f"surgery.{name}")) for name in names]
    return made[0], made[1]


_Header, _Entry = _messages()
