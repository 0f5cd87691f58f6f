"""A checkpoint that TensorFlow must not see: everything that an index can claim, under right checksums."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tensorboard.compat.proto import types_pb2

from surgery.errors import ModuleError
from surgery.formats import checkpoint_index
from surgery.formats.checkpoint_check import check_weights
from tests.formats.test_checkpoint_index import HEADER, VECTOR, table

HUGE = 2**62
Entry, Header = (checkpoint_index._MESSAGES[name] for name in ("BundleEntryProto", "BundleHeaderProto"))


def shaped(*sizes: int, **fields: int):
    def change(entry) -> None:
        del entry.shape.dim[:]
        for size in sizes:
            entry.shape.dim.add(size=size)
        for name, value in fields.items():
            setattr(entry, name, value)

    return change


def sliced(start: int, length: int):
    return lambda entry: entry.slices.add().extent.add(start=start, length=length)


@pytest.fixture(scope="module")
def sample(modules, tmp_path_factory) -> Path:
    """A SavedModel's folder with a checkpoint that is to be changed."""
    folder = tmp_path_factory.mktemp("checked")
    shutil.copytree(modules("g3_small") / "variables", folder / "variables")
    return folder


@pytest.fixture
def entries(modules) -> dict[bytes, bytes]:
    return dict(checkpoint_index._table((modules("g3_small") / "variables" / "variables.index").read_bytes()))


@pytest.mark.parametrize(
    "change",
    [
        shaped(-2, 4),
        shaped(-1, size=0),
        shaped(*[1] * 255, size=4),
        shaped(HUGE),
        shaped(HUGE, HUGE, HUGE),
        shaped(HUGE, size=-HUGE),
        shaped(0),
        lambda entry: entry.shape.__setattr__("unknown_rank", True),
        lambda entry: entry.__setattr__("offset", 2**63 - 1),
        lambda entry: entry.__setattr__("offset", -4),
        lambda entry: entry.__setattr__("size", 7),
        lambda entry: entry.__setattr__("shard_id", 1),
        lambda entry: entry.__setattr__("shard_id", -1),
        lambda entry: entry.__setattr__("dtype", 99),
        lambda entry: entry.__setattr__("dtype", types_pb2.DT_INVALID),
        lambda entry: entry.__setattr__("dtype", types_pb2.DT_RESOURCE),
        lambda entry: entry.__setattr__("dtype", types_pb2.DT_FLOAT_REF),
        lambda entry: entry.__setattr__("dtype", types_pb2.DT_STRING),
        lambda entry: entry.__setattr__("dtype", types_pb2.DT_DOUBLE),
        sliced(0, 5),
        sliced(-1, HUGE),
    ],
)
def test_an_entry_that_its_files_cannot_hold_is_refused(change, sample, entries):
    key = next(key for key in entries if key.startswith(b"variables/1/"))
    entry = Entry.FromString(entries[key])
    change(entry)
    (sample / "variables" / "variables.index").write_bytes(table(entries | {key: entry.SerializeToString()}))
    with pytest.raises(ModuleError, match=r"reading .*variables"):
        check_weights(sample)


@pytest.mark.parametrize("shards", [0, 2, -1, 2**31 - 1])
def test_a_number_of_files_that_are_not_there_is_refused(shards, sample, entries):
    header = Header(num_shards=shards).SerializeToString()
    (sample / "variables" / "variables.index").write_bytes(table(entries | {b"": header}))
    with pytest.raises(ModuleError, match="variables"):
        check_weights(sample)


def test_tensors_that_share_bytes_are_refused(sample, entries):
    key = next(key for key in entries if key.startswith(b"variables/1/"))
    more = {b"zz%03d" % number: entries[key] for number in range(500)}
    (sample / "variables" / "variables.index").write_bytes(table(entries | more))
    with pytest.raises(ModuleError, match="share the same bytes"):
        check_weights(sample)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({b"": HEADER, b"b": VECTOR, b"a": VECTOR}, "out of order"),
        ({b"": HEADER, b"\xff\xff": VECTOR}, "out of order"),
    ],
)
def test_keys_that_two_readers_would_find_in_two_places_are_refused(changed, reason, tmp_path):
    path = tmp_path / "model.index"
    path.write_bytes(table(changed))
    with pytest.raises(ModuleError, match=reason):
        checkpoint_index.read_index(path)


def test_a_restart_point_inside_of_an_entry_is_refused(tmp_path, monkeypatch):
    path, whole = tmp_path / "model.index", table({b"": HEADER, b"v": VECTOR})
    for restarts in (b"\0\0\0\0\2\0\0\0\2\0\0\0", b"\0\0\0\0\xff\xff\xff\x7f"):
        end = whole.index(b"\0\0\0\0\1\0\0\0\0")
        body = whole[:end] + restarts + b"\0"
        moved = body + checkpoint_index.masked_crc32c(body).to_bytes(4, "little")
        path.write_bytes(moved)
        with pytest.raises(ValueError, match="restart point"):
            list(checkpoint_index._block(moved, 0, len(body) - 1))


@pytest.mark.parametrize("name", ["g2_small", "g4_mobilebert", "tf1_bert_small", "tf1_sharp"])
def test_what_tensorflow_writes_passes(name, modules):
    check_weights(modules(name))
