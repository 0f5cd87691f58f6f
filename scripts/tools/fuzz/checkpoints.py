"""Changes of a checkpoint: entries of `PREFIX.index` with right checksums, its blocks, its object graph, its shards.

Readers refuse a wrong checksum before they look further, so most changes are written with the checksums that fit.
"""

from __future__ import annotations

import struct
from pathlib import Path
from random import Random

from tensorboard.compat.proto import trackable_object_graph_pb2

from scripts.tools.fuzz import messages, values
from scripts.tools.fuzz.index_tables import Pairs, number_as_varint, read_fields, read_table, table, write_fields
from surgery.formats.checkpoint_index import masked_crc32c
from surgery.formats.varints import varint

OBJECT_GRAPH = b"_CHECKPOINTABLE_OBJECT_GRAPH"
OFFSET, SIZE, CHECKSUM = 4, 5, 6
"""Fields of a BundleEntryProto."""
MANY = 50_000


def change(rng: Random, folder: Path) -> str:
    """Changes the index, the object graph or a shard of a folder's checkpoint."""
    index = min(folder.rglob("*.index"))
    data = index.read_bytes()
    shards = sorted(index.parent.glob(f"{index.stem}.data-*"))
    how = rng.random()
    if shards and how < 0.1:
        return _change_shard(rng, rng.choice(shards))
    index.unlink()
    pairs = read_table(data)
    if shards and how < 0.3 and any(key == OBJECT_GRAPH for key, _ in pairs):
        said = _change_object_graph(rng, pairs, shards[0])
        index.write_bytes(table(pairs))
    elif how < 0.8:
        said = "; ".join(_change_pairs(rng, pairs) for _ in range(rng.choice((1, 1, 2, 4))))
        index.write_bytes(table(pairs))
    elif how < 0.95:
        said, changed = _change_blocks(rng, pairs)
        index.write_bytes(changed)
    else:
        said = "index: bytes damaged"
        index.write_bytes(values.damaged(rng, data))
    return said


def _change_shard(rng: Random, shard: Path) -> str:
    data = shard.read_bytes()
    shard.unlink()
    if rng.random() < 0.3:
        shard.with_name(rng.choice(("x.data-00000-of-00002", f"{shard.name}0", "variables.data-9-of-1"))).write_bytes(
            data
        )
        return f"{shard.name} renamed"
    shard.write_bytes(values.damaged(rng, data))
    return f"{shard.name}: bytes damaged"


def _change_pairs(rng: Random, pairs: Pairs) -> str:
    if not pairs:
        return "an empty table"
    at = rng.randrange(len(pairs)) if rng.random() < 0.9 else 0
    key, value = pairs[at]
    how = rng.randrange(10)
    if how < 5:
        pairs[at] = (key, _changed(rng, value))
        return f"{key!r}: a field changed"
    if how == 5:
        other = rng.randrange(len(pairs))
        pairs[at], pairs[other] = (key, pairs[other][1]), (pairs[other][0], value)
        return f"{key!r}: value of {pairs[other][0]!r}"
    if how == 6:
        del pairs[at]
        return f"{key!r} removed"
    if how == 7:
        renamed = rng.choice((values.name(rng).encode(), b"\0" + key, b"\xff" + key, key + b"\0"))
        pairs[at] = (renamed, value)
        return f"{key!r} renamed to {renamed[:40]!r}"
    if how == 8:
        pairs.insert(rng.randrange(len(pairs) + 1), (key, value))
        return f"{key!r} twice"
    if rng.random() < 0.2:
        pairs += [(b"z%09d" % number, value) for number in range(MANY)]
        return f"{MANY} entries more"
    pairs[at] = (key, values.damaged(rng, value))
    return f"{key!r}: bytes of its entry damaged"


def _changed(rng: Random, value: bytes) -> bytes:
    """The message with one of its fields changed, on any level."""
    fields = read_fields(value)
    if not fields or rng.random() < 0.1:
        return write_fields([*fields, (rng.randrange(1, 9), 0, values.integer(rng) % 2**64)])
    at = rng.randrange(len(fields))
    number, wire, content = fields[at]
    if isinstance(content, bytes):
        fields[at] = (number, wire, _changed(rng, content) if rng.random() < 0.8 else values.damaged(rng, content))
    else:
        fields[at] = (number, wire, values.integer(rng, content) % 2 ** (32 if wire == 5 else 64))
    if rng.random() < 0.1:
        fields.append(fields[at])
    return write_fields(fields)


def _change_object_graph(rng: Random, pairs: Pairs, shard: Path) -> str:
    """Appends a changed object graph to the shard, and points its entry there."""
    at = next(position for position, (key, _) in enumerate(pairs) if key == OBJECT_GRAPH)
    fields = {number: (wire, content) for number, wire, content in read_fields(pairs[at][1])}
    start, size = (fields.get(number, (0, 0))[1] for number in (OFFSET, SIZE))
    data = shard.read_bytes()
    assert isinstance(start, int)
    assert isinstance(size, int)
    stored = data[start : start + size]
    length, begin = varint(stored, 0)
    graph = trackable_object_graph_pb2.TrackableObjectGraph.FromString(stored[begin + 4 : begin + 4 + length])
    said = messages.change(rng, graph, "checkpoint's object graph")
    content = graph.SerializeToString(deterministic=True)
    if rng.random() < 0.1:
        said, content = "checkpoint's object graph: bytes damaged", values.damaged(rng, content)
    lengths = struct.pack("<I", len(content))
    checksum = struct.pack("<I", masked_crc32c(lengths))
    written = number_as_varint(len(content)) + checksum + content
    fields |= {
        OFFSET: (0, len(data)),
        SIZE: (0, len(written)),
        CHECKSUM: (5, masked_crc32c(lengths + checksum + content)),
    }
    pairs[at] = (
        OBJECT_GRAPH,
        write_fields([(number, wire, value) for number, (wire, value) in sorted(fields.items())]),
    )
    shard.unlink()
    shard.write_bytes(data + written)
    return said


def _change_blocks(rng: Random, pairs: Pairs) -> tuple[str, bytes]:
    """An index whose blocks are wrong although their checksums are right."""
    how = rng.randrange(4)
    if how == 0:
        return "block: bytes damaged", table(pairs, lambda block: values.damaged(rng, block))
    if how == 1:
        count = struct.pack("<I", values.integer(rng) % 2**32)
        return "block: number of restarts", table(pairs, lambda block: block[:-4] + count)
    if how == 2:
        return "block: compressed", table(pairs, kind=rng.choice((1, 2, 255)))
    handle = b"".join(number_as_varint(values.integer(rng) % 2**64) for _ in range(2))
    return "a handle that points elsewhere", table(pairs, handle=handle)
