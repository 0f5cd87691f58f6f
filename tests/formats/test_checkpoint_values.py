"""Values of a checkpoint read without TensorFlow: where they come from, and what of a damaged file is refused."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
import warnings
from pathlib import Path

import google_crc32c
import numpy as np
import pytest

from surgery.errors import ModuleError
from surgery.formats import checkpoint_values
from surgery.formats.checkpoint_index import Entry, Index, masked_crc32c
from surgery.formats.checkpoint_values import CheckpointValues
from surgery.formats.slice_keys import Extent, slice_key
from surgery.module import VariableInfo
from surgery.sources.checkpoint_tensors import CheckpointTensors

SAMPLE = "tf1_albert_small"
WORDS = "bert/embeddings/word_embeddings"
DATA = "variables.data-00000-of-00001"


@pytest.fixture
def prefix(modules, tmp_path) -> Path:
    """The checkpoint of a sample, to be damaged."""
    shutil.copytree(modules(SAMPLE) / "variables", tmp_path / "variables")
    return tmp_path / "variables" / "variables"


@pytest.fixture
def made(tmp_path, monkeypatch):
    """`made(data, index)`: the values of a shard with these bytes, under that index."""

    def make(data: bytes, entries: dict[str, Entry], slices: dict[bytes, Entry] | None = None) -> CheckpointValues:
        (tmp_path / "made.data-00000-of-00001").write_bytes(data)
        index = Index(shards=1, entries=entries, slices=slices or {})
        monkeypatch.setattr(checkpoint_values, "read_index", lambda _: index)
        return CheckpointValues(tmp_path / "made")

    return make


def entry(data: bytes, shape=(2,), dtype="float32", offset=0, **fields) -> Entry:
    return Entry(
        **{
            "dtype": dtype,
            "shape": shape,
            "shard": 0,
            "offset": offset,
            "nbytes": len(data),
            "checksum": masked_crc32c(data),
            **fields,
        }
    )


PAIR = np.array([1.5, -2], np.float32).tobytes()


def test_the_library_of_the_checksums_runs_in_c():
    assert google_crc32c.implementation == "c"


def test_opening_reads_no_value(prefix):
    (prefix.parent / DATA).unlink()
    values = CheckpointValues(prefix)
    assert values.entries[WORDS].shape == (1200, 24)
    with pytest.raises(FileNotFoundError):
        values.read(WORDS)


def test_a_value_is_a_read_only_view_of_the_mapped_file(prefix):
    value = CheckpointValues(prefix).read(WORDS)
    assert not value.flags.owndata
    assert not value.flags.writeable
    at = CheckpointValues(prefix).entries[WORDS].offset
    assert value.tobytes() == (prefix.parent / DATA).read_bytes()[at : at + value.nbytes]


def test_a_value_off_its_boundary_is_a_copy_on_one(made):
    value = made(b"x" + PAIR, {"v": entry(PAIR, offset=1)}).read("v")
    assert value.tolist() == [1.5, -2]
    assert value.flags.aligned


def test_no_value_is_read_with_tensorflow(modules):
    code = """if True:
        import sys
        from surgery.sources.opening import open_module
        with open_module(sys.argv[1], with_weights=True) as module:
            tensors = module.open_tensors()
            read = sum(tensors.read(variable).nbytes for variable in module.variables)
            print(read, module.weight_bytes, "tensorflow" in sys.modules)
    """
    folder = str(modules("g4_electra"))
    done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True)
    read, listed, tensorflow = done.stdout.split()
    assert int(read) == int(listed) > 0
    assert tensorflow == "False"


@pytest.mark.parametrize("dtype", ["qint8", "variant", "resource", "no_such_type"])
def test_a_dtype_that_numpy_lacks_is_refused(dtype, made):
    with pytest.raises(ValueError, match=f"values of dtype {dtype} cannot be read"):
        made(PAIR, {"v": entry(PAIR, dtype=dtype)}).read("v")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"shape": (3,)}, "takes 12 bytes, but the index says 8"),
        ({"shape": (2**40, 2**40)}, "but the index says 8"),
        ({"shape": (None,)}, "negative size"),
        ({"shape": (-2, -1)}, "negative size"),
        ({"offset": -8}, "negative size or position"),
        ({"offset": 1}, "begin at byte 1 of made.data-00000-of-00001, which has only 8 bytes"),
        ({"nbytes": 2**50}, "which has only 8 bytes"),
        ({"checksum": 7}, "the checksum of its 8 bytes does not fit"),
        ({"dtype": "string"}, "the lengths of its strings"),
    ],
)
def test_an_index_that_does_not_fit_the_values_is_refused(fields, message, made):
    with pytest.raises(ValueError, match=message):
        made(PAIR, {"v": entry(PAIR, **fields)}).read("v")


def strings(*texts: bytes) -> tuple[bytes, int]:
    """A string tensor's bytes and its checksum."""
    lengths = b"".join(struct.pack("<I", len(text)) for text in texts)
    check = struct.pack("<I", masked_crc32c(lengths))
    content = check + b"".join(texts)
    return bytes(len(text) for text in texts) + content, masked_crc32c(lengths + content)


def test_a_changed_byte_of_a_string_tensor_is_refused_wherever_it_is(made):
    data, checksum = strings(b"one", b"", b"three")
    listed = {"v": entry(data, (3,), "string", checksum=checksum)}
    assert made(data, listed).read("v").tolist() == [b"one", b"", b"three"]
    for position in range(len(data)):
        for flipped in (1, 0x80, 0xFF):
            changed = bytearray(data)
            changed[position] ^= flipped
            with pytest.raises(ValueError, match=r"lengths of its strings|checksum of its"):
                made(bytes(changed), listed).read("v")
    for length in range(len(data)):
        with pytest.raises(ValueError, match="lengths of its strings"):
            made(data, {"v": entry(data[:length], (3,), "string", checksum=checksum)}).read("v")


def rows(*extents: tuple[int, int | None]) -> tuple:
    return tuple((Extent(start, length), Extent(0, None)) for start, length in extents)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (rows((0, 2), (1, 2)), "do not cover the shape"),
        (rows((0, 2)), "do not cover the shape"),
        (rows((0, 2), (2, 2)), "lies outside of the shape"),
        (rows((-1, 2), (1, 2)), "lies outside of the shape"),
        (rows((0, 1), (1, 3)), "lies outside of the shape"),
        (((Extent(0, 2),), (Extent(2, 2),)), "a slice with 1 axes of a tensor with 2"),
        (rows((0, 1), (1, None)), "is listed as"),
    ],
    ids=["overlap", "too few", "too far", "negative", "too long", "axes", "sizes"],
)
def test_slices_that_do_not_make_a_tensor_are_refused(parts, message, made):
    part = entry(PAIR * 2, (2, 2))
    sizes = (4, 2) if message.startswith("do not") and len(parts) == 2 else (3, 2)
    sizes = (4, 2) if "listed" in message else sizes
    whole = entry(b"", sizes, slices=parts)
    stored = {slice_key(b"v", extents): part for extents in parts}
    with pytest.raises(ValueError, match=message):
        made(PAIR * 2, {"v": whole}, stored).read("v")


class TestOfAModule:
    """The same, as a module's variables: the error names the variable and the files."""

    def refused(self, prefix, name=WORDS, shape=(1200, 24)):
        with pytest.raises(ModuleError) as caught:
            CheckpointTensors(prefix).read(VariableInfo(name=name, dtype="float32", shape=shape, trainable=True))
        assert str(caught.value).startswith(f"reading {name} from {prefix}.*: ")
        return caught.value

    def test_a_flipped_byte(self, prefix):
        data, at = prefix.parent / DATA, CheckpointValues(prefix).entries[WORDS].offset
        changed = bytearray(data.read_bytes())
        changed[at + 100] ^= 1
        data.write_bytes(changed)
        error = self.refused(prefix)
        assert "the checksum of its 115200 bytes does not fit" in error.message
        assert error.hint == "the checkpoint is truncated or damaged: fetch the module again"

    def test_a_truncated_shard(self, prefix):
        data, at = prefix.parent / DATA, CheckpointValues(prefix).entries[WORDS].offset
        data.write_bytes(data.read_bytes()[: at + 100])
        assert f"which has only {at + 100} bytes" in self.refused(prefix).message

    def test_an_empty_shard(self, prefix):
        (prefix.parent / DATA).write_bytes(b"")
        self.refused(prefix)

    def test_a_missing_shard(self, prefix):
        (prefix.parent / DATA).unlink()
        assert "No such file or directory" in self.refused(prefix).message

    def test_an_unknown_key(self, prefix):
        error = self.refused(prefix, "no/such", (1,))
        assert "no tensor under the key no/such" in error.message

    def test_another_shape(self, prefix):
        error = self.refused(prefix, WORDS, (1200, 25))
        assert "the graph says [1200, 25], the checkpoint has [1200, 24]" in error.message

    @pytest.mark.parametrize("content", [b"", b"nothing of the kind", None])
    def test_no_index(self, content, prefix):
        index = prefix.with_name("variables.index")
        index.unlink()
        if content is not None:
            index.write_bytes(content)
        with pytest.raises(ModuleError, match=r"^opening the weights .*variables\.\*: reading ") as caught:
            CheckpointTensors(prefix)
        assert caught.value.hint == "the checkpoint is incomplete or damaged: fetch the module again"

    def test_a_damaged_object_graph(self, modules, tmp_path):
        shutil.copytree(modules("g4_electra") / "variables", tmp_path / "variables")
        prefix = tmp_path / "variables" / "variables"
        data, listed = tmp_path / "variables" / DATA, CheckpointValues(prefix).entries["_CHECKPOINTABLE_OBJECT_GRAPH"]
        changed = bytearray(data.read_bytes())
        changed[listed.offset + listed.nbytes // 2] ^= 1
        data.write_bytes(changed)
        with pytest.raises(ModuleError, match="opening the weights"):
            CheckpointTensors(prefix)


def test_every_shard_is_closed_again_with_the_last_array(prefix):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value = CheckpointValues(prefix).read(WORDS)
        maps = Path("/proc/self/maps")
        assert str(prefix) in maps.read_text()
        del value
        assert str(prefix) not in maps.read_text()
