"""The index of a checkpoint, read without TensorFlow: what it lists, and what is no index."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

import google_crc32c
import pytest
from tensorboard.compat.proto import types_pb2
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c as tensorboards_own

from surgery.errors import ModuleError
from surgery.formats import checkpoint_index as tensor_bundle
from surgery.formats.checkpoint_index import Entry, Index, masked_crc32c, read_index

WORDS = "bert/embeddings/word_embeddings"


@pytest.fixture
def index(modules) -> Path:
    """The index of a sample, written by TensorFlow: 28 tensors in 1281 bytes."""
    return modules("tf1_albert_small") / "variables" / "variables.index"


@pytest.fixture
def read(tmp_path):
    """Reads an index of these bytes."""

    def run(content: bytes) -> Index:
        path = tmp_path / "model.ckpt.index"
        path.write_bytes(content)
        return read_index(path)

    return run


def test_an_entry_tells_dtype_shape_and_where_its_bytes_are(index):
    found = read_index(index)
    assert found.shards == 1
    assert len(found.entries) == 28
    entry = found.entries[WORDS]
    assert (entry.dtype, entry.shape, entry.shard, entry.nbytes) == ("float32", (1200, 24), 0, 4 * 1200 * 24)
    assert entry.slices == ()


def test_the_entries_cover_the_file_of_the_values(modules):
    for name in ("tf1_albert_small", "tf1_bert_small"):
        folder = modules(name) / "variables"
        entries = read_index(folder / "variables.index").entries.values()
        assert sum(entry.nbytes for entry in entries) == (folder / "variables.data-00000-of-00001").stat().st_size


def test_the_object_graph_of_a_tf2_checkpoint_is_a_scalar_string(modules):
    entries = read_index(modules("g4_electra") / "variables" / "variables.index").entries
    assert (entries["_CHECKPOINTABLE_OBJECT_GRAPH"].dtype, entries["_CHECKPOINTABLE_OBJECT_GRAPH"].shape) == (
        "string",
        (),
    )


def test_an_index_that_is_not_there_is_a_module_error(tmp_path):
    with pytest.raises(ModuleError, match=r"nothing\.index: No such file"):
        read_index(tmp_path / "nothing.index")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"an index",
        bytes(48),
        bytes(40) + struct.pack("<Q", tensor_bundle.MAGIC),
        b"\xff" * 40 + struct.pack("<Q", tensor_bundle.MAGIC),
        b"\xff\xff\x7f" * 20 + struct.pack("<Q", tensor_bundle.MAGIC),
        struct.pack("<Q", tensor_bundle.MAGIC),
    ],
)
def test_bytes_that_are_no_index_are_a_module_error(content: bytes, read):
    with pytest.raises(ModuleError, match="expected the index of a checkpoint"):
        read(content)


@pytest.mark.parametrize(
    "file", ["variables/variables.data-00000-of-00001", "saved_model.pb", "assets/30k-clean.model"]
)
def test_another_file_is_no_index(file: str, modules):
    with pytest.raises(ModuleError, match="expected the index of a checkpoint"):
        read_index(modules("tf1_albert_small") / file)


def test_an_index_cut_anywhere_is_a_module_error(index, read):
    whole = index.read_bytes()
    for length in range(len(whole)):
        with pytest.raises(ModuleError, match="expected the index of a checkpoint"):
            read(whole[:length])


def test_a_byte_changed_anywhere_is_refused_or_changes_nothing(index, read):
    whole, sound = index.read_bytes(), read_index(index)
    harmless = []
    for position in range(len(whole)):
        changed = bytearray(whole)
        changed[position] ^= 0x11
        try:
            assert read(bytes(changed)) == sound, position
        except ModuleError:
            continue
        harmless.append(position)
    # The entries are under a checksum. What follows is not: an empty block that is not read, padding in the footer.
    assert harmless
    assert len(whole) - 100 < min(harmless) < max(harmless) < len(whole) - 8


def varint(number: int) -> bytes:
    return bytes([number]) if number < 128 else bytes([number & 127 | 128]) + varint(number >> 7)


def table(entries: Mapping[bytes, bytes], kind: int = tensor_bundle.UNCOMPRESSED) -> bytes:
    """A table of one block, as LevelDB writes it but for the prefixes, which keys share nothing of here."""

    def block(pairs: Mapping[bytes, bytes]) -> bytes:
        body = b"".join(b"\0" + varint(len(k)) + varint(len(v)) + k + v for k, v in pairs.items())
        body += struct.pack("<II", 0, 1) + bytes([kind])
        return body + struct.pack("<I", masked_crc32c(body))

    def handle(offset: int, size: int) -> bytes:
        return varint(offset) + varint(size - tensor_bundle.TRAILER)

    data, nothing = block(entries), block({})
    listing = block({b"\xff": handle(0, len(data))})
    footer = handle(len(data), len(nothing)) + handle(len(data) + len(nothing), len(listing))
    return data + nothing + listing + footer.ljust(40, b"\0") + struct.pack("<Q", tensor_bundle.MAGIC)


HEADER = b"\x08\x02"
"""num_shards: 2."""
VECTOR = bytes([8, types_pb2.DT_INT64, 18, 4, 18, 2, 8, 3, 24, 1, 40, 24])
"""int64 [3], in shard 1, 24 bytes."""


def test_a_table_made_by_hand_is_read(read):
    assert read(table({b"": HEADER, b"v": VECTOR})) == Index(
        shards=2, entries={"v": Entry(dtype="int64", shape=(3,), shard=1, offset=0, nbytes=24, checksum=0)}
    )


@pytest.mark.parametrize(
    "content",
    [
        table({b"v": VECTOR}),
        table({}),
        table({b"": HEADER, b"v": VECTOR}, kind=1),
        table({b"": HEADER, b"v": VECTOR[:-1]}),
        table({b"": HEADER, b"v": bytes([8, types_pb2.DT_INT64, 18, 2, 24, 1])}),
        table({b"": HEADER, b"\xff\xfe": VECTOR}),
        table({b"": HEADER, b"v": VECTOR + bytes([58, 0])}),
    ],
    ids=[
        *("no header", "no entries", "compressed", "an entry cut short", "unknown rank", "a key that is no text"),
        "a slice that has no entry",
    ],
)
def test_a_table_that_is_no_index_is_a_module_error(content: bytes, read):
    with pytest.raises(ModuleError, match="expected the index of a checkpoint"):
        read(content)


def test_big_endian_values_are_refused(read):
    with pytest.raises(ModuleError, match="expected values in little-endian byte order"):
        read(table({b"": HEADER + b"\x10\x01", b"v": VECTOR}))


def test_the_checksum_is_tensorflow_s():
    assert google_crc32c.implementation == "c"
    assert google_crc32c.value(bytes(32)) == 0x8A9136AA
    assert tensorboards_own(b"foo") == masked_crc32c(b"foo")
