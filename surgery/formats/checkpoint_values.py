"""The values of a checkpoint, `PREFIX.data-*`, without TensorFlow: one tensor at a time, memory-mapped and checked.

A value is a range of bytes of a shard, in C order and without any framing, with a masked CRC-32C in the index
(tensorflow/core/util/tensor_bundle/tensor_bundle.cc). Strings are their lengths as varints, a checksum of the lengths,
and the bytes one after another.

No library does it: TensorFlow has the only reader, and importing TensorFlow takes seconds and half a gigabyte. The
checksums are computed by google-crc32c, in C at several gigabytes a second.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import google_crc32c
import ml_dtypes
import numpy as np

from surgery.formats.checkpoint_index import Entry, masked, masked_crc32c, read_index
from surgery.formats.slice_keys import Slice, slice_key
from surgery.formats.varints import varint

STRING = "string"
LENGTHS_CHECKSUM = 4
"""Bytes of the checksum that follows the lengths of a string tensor."""
NUMPY = frozenset(
    {
        *("float16", "float32", "float64", "complex64", "complex128", "bool"),
        *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    }
)
"""Dtypes that have the same name in numpy."""


class CheckpointValues:
    """The tensors of a checkpoint by key.

    Opening it reads the index alone. A shard is mapped when the first of its tensors is read, and stays mapped as long
    as this object or one of the arrays lives.

    Raises ModuleError when there is no index, or it is damaged.
    """

    def __init__(self, prefix: Path) -> None:
        self._prefix = prefix
        self._index = read_index(prefix.with_name(f"{prefix.name}.index"))
        self._shards: dict[int, mmap.mmap] = {}
        self._read: list[Entry] = []

    @property
    def entries(self) -> Mapping[str, Entry]:
        """Dtype, shape and position of every tensor, by key."""
        return self._index.entries

    @property
    def shards(self) -> int:
        """The number of files over which the values are spread."""
        return self._index.shards

    def all_entries(self) -> Iterator[tuple[str, Entry]]:
        """Every entry of the index, by its key: the tensors, and the slices of partitioned ones."""
        yield from self.entries.items()
        for key, entry in self._index.slices.items():
            yield repr(key), entry

    def parts(self, key: str) -> list[tuple[Slice, Entry]]:
        """The slices of a partitioned tensor with their entries. Raises KeyError where one has none."""
        return [(part, self._index.slices[slice_key(key.encode(), part)]) for part in self.entries[key].slices]

    def read(self, key: str) -> np.ndarray:
        """The value of a tensor: read-only where it is a view of the file, an object array of bytes for strings.

        Raises:
            KeyError: The checkpoint has no such tensor.
            OSError: The shard is missing or cannot be read.
            ValueError: The value is damaged or cut short, or numpy has no such dtype.
        """
        self._give_back()
        entry = self.entries[key]
        if not entry.slices:
            return self.value(entry)
        parts = self.parts(key)
        check_cover(entry, parts)
        return _put_together(entry, [(part, self.value(stored)) for part, stored in parts])

    def value(self, entry: Entry) -> np.ndarray:
        """The value of an entry that is no partitioned tensor. Raises OSError and ValueError as `read` does."""
        if min(entry.offset, entry.nbytes, *_sizes(entry)) < 0:
            raise ValueError("the index says that it has a negative size or position")
        data = self._bytes(entry)
        if entry.dtype == STRING:
            return _strings(entry, data)
        dtype = numpy_dtype(entry.dtype)
        if (expected := math.prod(_sizes(entry)) * dtype.itemsize) != entry.nbytes:
            raise ValueError(
                f"{entry.dtype} {list(entry.shape)} takes {expected} bytes, but the index says {entry.nbytes}"
            )
        if masked_crc32c(data) != entry.checksum:
            raise ValueError(_unequal(entry))
        value = np.frombuffer(data, dtype).reshape(_sizes(entry))
        # Strings that lie before a number in the file shift it from its boundary, where much code expects it.
        return np.require(value, requirements="A")

    def _bytes(self, entry: Entry) -> np.ndarray:
        """The bytes of a value as a view of its shard."""
        if not entry.nbytes:
            return np.empty(0, np.uint8)
        if entry.shard not in self._shards:
            with self.path(entry).open("rb") as file:
                self._shards[entry.shard] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        shard = self._shards[entry.shard]
        if entry.offset + entry.nbytes > len(shard):
            raise ValueError(
                f"its {entry.nbytes} bytes begin at byte {entry.offset} of {self.path(entry).name}, which has only "
                f"{len(shard)} bytes"
            )
        self._read.append(entry)
        return np.frombuffer(shard, np.uint8, entry.nbytes, entry.offset)

    def _give_back(self) -> None:
        """Returns the memory of the values that were read before. They stay valid, and come from the file again.

        Otherwise a whole model would stay in the memory of the process beside those that are made from it.
        """
        for entry in self._read:
            start = entry.offset // mmap.PAGESIZE * mmap.PAGESIZE
            self._shards[entry.shard].madvise(mmap.MADV_DONTNEED, start, entry.offset + entry.nbytes - start)
        self._read.clear()

    def path(self, entry: Entry) -> Path:
        """The file that has the bytes of an entry."""
        return self._prefix.with_name(f"{self._prefix.name}.data-{entry.shard:05d}-of-{self._index.shards:05d}")


def numpy_dtype(name: str) -> np.dtype[Any]:
    """The numpy dtype for a dtype's name in TensorFlow. Raises ValueError where there is none."""
    if name in NUMPY:
        return np.dtype(name)
    try:
        dtype: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
    except (AttributeError, TypeError) as error:
        raise ValueError(f"values of dtype {name} cannot be read") from error
    return dtype


def _strings(entry: Entry, data: np.ndarray) -> np.ndarray:
    """The value of a string tensor, as an object array of bytes.

    The checksum covers each length as a number of 4 bytes, or of 8 bytes from 2^32 on, instead of its varint.
    """
    content = data.tobytes()
    at, lengths, covered = 0, [], bytearray()
    try:
        for _ in range(math.prod(_sizes(entry))):
            length, at = varint(content, at)
            lengths.append(length)
            covered += struct.pack("<I" if length < 2**32 else "<Q", length)
        (lengths_checksum,) = struct.unpack_from("<I", content, at)
    except (IndexError, struct.error) as error:
        raise ValueError("the lengths of its strings are cut short") from error
    begin = at + LENGTHS_CHECKSUM
    if masked(google_crc32c.value(bytes(covered))) != lengths_checksum or begin + sum(lengths) != len(content):
        raise ValueError("the lengths of its strings do not fit their checksum")
    if masked(google_crc32c.value(bytes(covered) + content[at:])) != entry.checksum:
        raise ValueError(_unequal(entry))
    values = np.empty(len(lengths), object)
    for position, length in enumerate(lengths):
        values[position] = content[begin : begin + length]
        begin += length
    return values.reshape(_sizes(entry))


def check_cover(entry: Entry, parts: Sequence[tuple[Slice, Entry]]) -> None:
    """Raises ValueError unless the slices of a partitioned tensor cover it exactly, in their own shapes."""
    sizes = _sizes(entry)
    boxes = [_ranges(part, sizes) for part, _ in parts]
    if sum(math.prod(_sizes(stored)) for _, stored in parts) != math.prod(sizes) or any(
        all(max(a.start, b.start) < min(a.stop, b.stop) for a, b in zip(one, other, strict=True))
        for one, other in combinations(boxes, 2)
    ):
        raise ValueError(f"its {len(parts)} slices do not cover the shape {list(sizes)} exactly")
    for box, (_, stored) in zip(boxes, parts, strict=True):
        if stored.shape != tuple(axis.stop - axis.start for axis in box) or stored.dtype != entry.dtype:
            raise ValueError(f"a slice {stored.dtype} {list(stored.shape)} is listed as {box} of {entry.dtype}")


def _put_together(entry: Entry, parts: list[tuple[Slice, np.ndarray]]) -> np.ndarray:
    """A partitioned tensor from its slices, which cover it exactly."""
    sizes = _sizes(entry)
    whole = np.empty(sizes, parts[0][1].dtype)
    for part, value in parts:
        whole[_ranges(part, sizes)] = value
    return whole


def _ranges(part: Slice, sizes: tuple[int, ...]) -> tuple[slice, ...]:
    if len(part) != len(sizes):
        raise ValueError(f"a slice with {len(part)} axes of a tensor with {len(sizes)}")
    ranges = tuple(
        slice(extent.start, size if extent.length is None else extent.start + extent.length)
        for extent, size in zip(part, sizes, strict=True)
    )
    if any(not 0 <= axis.start <= axis.stop <= size for axis, size in zip(ranges, sizes, strict=True)):
        raise ValueError(f"a slice lies outside of the shape {list(sizes)}")
    return ranges


def _sizes(entry: Entry) -> tuple[int, ...]:
    return tuple(-1 if size is None else size for size in entry.shape)


def _unequal(entry: Entry) -> str:
    return f"the checksum of its {entry.nbytes} bytes does not fit: they were changed after they were written"
