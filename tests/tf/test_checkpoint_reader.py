"""Values as surgery reads them from a checkpoint, bit by bit against TensorFlow's own reader."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from surgery.formats.checkpoint_index import read_index
from surgery.formats.checkpoint_values import CheckpointValues
from surgery.formats.slice_keys import Extent, slice_key
from tests.support.builders.checkpoints import write_tensors
from tests.support.sample_names import TF1_CHECKPOINTS, TF1_SAMPLES, TF2_SAMPLES

DTYPES = (
    *("float16", "float32", "float64", "bfloat16", "complex64", "complex128", "bool"),
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float8_e5m2", "float8_e4m3fn", "int4", "uint4"),
)


def assert_reads_the_same(prefix):
    """Every tensor of a checkpoint: dtype, shape and bits."""
    reader, values = tf.train.load_checkpoint(str(prefix)), CheckpointValues(prefix)
    assert set(values.entries) == set(reader.get_variable_to_shape_map())
    for key in values.entries:
        text = object if values.entries[key].dtype == "string" else None
        wanted, found = np.asarray(reader.get_tensor(key), text, order="C"), values.read(key)
        assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape), key
        assert (found.tolist() == wanted.tolist()) if text else (found.tobytes() == wanted.tobytes()), key
        assert found.flags.aligned
        assert found.flags.c_contiguous


@pytest.mark.parametrize("name", [*TF2_SAMPLES, *TF1_SAMPLES, "g1_built"])
def test_every_value_of_a_sample_is_tensorflow_s(name, modules):
    assert_reads_the_same(modules(name) / "variables" / "variables")


@pytest.mark.parametrize("name", TF1_CHECKPOINTS)
def test_every_value_of_a_tf1_checkpoint_is_tensorflow_s(name, modules):
    (index,) = modules(name).glob("*.index")
    assert_reads_the_same(index.with_suffix(""))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(2, 3, 5), (), (0, 4), (1,)])
def test_every_dtype_is_read_in_every_kind_of_shape(dtype, shape, tmp_path):
    value = (np.arange(np.prod(shape, dtype=int)).reshape(shape) % 2).astype(tf.as_dtype(dtype).as_numpy_dtype)
    # The text is written first, and takes 9 bytes with its length and a checksum: what follows begins at no boundary.
    write_tensors(tmp_path / "ckpt", {"text": np.array(b"text"), "v": value})
    assert_reads_the_same(tmp_path / "ckpt")
    values = CheckpointValues(tmp_path / "ckpt")
    assert values.entries["v"].offset == 9
    assert values.read("v").tobytes() == value.tobytes()


@pytest.mark.parametrize(
    "texts",
    [b"", b"one", [b""], [b"a", b"", b"\0\xff" * 100, "ä".encode()], [[b"x" * 20000, b"y"]], np.empty((0, 3), object)],
    ids=["empty", "scalar", "one empty", "several", "long", "none"],
)
def test_strings_are_bytes(texts, tmp_path):
    write_tensors(tmp_path / "ckpt", {"v": tf.constant(texts, tf.string).numpy() if len(texts) else texts})
    assert_reads_the_same(tmp_path / "ckpt")


def test_values_spread_over_several_files_are_found(tmp_path):
    tensors = {f"v{number}": np.full((number, 7), number, np.float32) for number in range(9)}
    write_tensors(tmp_path / "ckpt", tensors, shards=4)
    assert len(list(tmp_path.glob("ckpt.data-*-of-00004"))) == 4
    assert_reads_the_same(tmp_path / "ckpt")


def write_parts(prefix, whole, slices):
    """A checkpoint of one tensor, in these parts: TensorFlow's slice specifications by the part of the value."""
    parts = {f"{' '.join(map(str, whole.shape))} {spec}": whole[at] for spec, at in slices.items()}
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=["kernel"] * len(parts),
        shape_and_slices=list(parts),
        tensors=[tf.constant(np.ascontiguousarray(part)) for part in parts.values()],
    )


@pytest.mark.parametrize(
    "slices",
    [
        {"0,4:-": np.s_[:4], "4,3:-": np.s_[4:]},
        {"-:0,1": np.s_[:, :1], "-:1,299": np.s_[:, 1:]},
        {"0,7:0,100": np.s_[:, :100], "0,7:100,200": np.s_[:, 100:]},
        {"0,7:-": np.s_[:]},
        {f"{i},1:{j},150": np.s_[i : i + 1, j : j + 150] for i in range(7) for j in (0, 150)},
    ],
    ids=["rows", "columns", "both axes", "the whole", "many"],
)
def test_a_partitioned_variable_is_put_together(slices, tmp_path):
    whole = np.random.default_rng(0).standard_normal((7, 300)).astype(np.float32)
    write_parts(tmp_path / "ckpt", whole, slices)
    assert_reads_the_same(tmp_path / "ckpt")
    entry = CheckpointValues(tmp_path / "ckpt").entries["kernel"]
    assert (entry.shape, entry.nbytes) == ((7, 300), whole.nbytes)
    assert len(entry.slices) == (len(slices) if len(slices) > 1 else 0)


def test_a_variable_that_tensorflow_1_partitioned_is_put_together(tmp_path):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.get_variable(
            "words",
            (70000, 3),
            initializer=tf.compat.v1.random_normal_initializer(seed=1),
            partitioner=tf.compat.v1.fixed_size_partitioner(3),
        )
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver(sharded=True).save(session, str(tmp_path / "ckpt"), write_meta_graph=False)
    assert list(CheckpointValues(tmp_path / "ckpt").entries) == ["words"]
    assert_reads_the_same(tmp_path / "ckpt")


@pytest.mark.parametrize("start", [0, 63, 64, 8191, 8192, 2**20, 2**33, 2**54, 2**62 - 2])
def test_the_key_of_a_slice_is_tensorflow_s_for_every_length_of_number(start, tmp_path):
    spec = f"{start + 2} {start},1"
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "ckpt"),
        tensor_names=["a name"],
        shape_and_slices=[spec],
        tensors=[tf.zeros([1])],
    )
    assert list(read_index(tmp_path / "ckpt.index").slices) == [slice_key(b"a name", (Extent(start, 1),))]


def test_reading_a_part_of_a_partitioned_variable_alone_is_refused(tmp_path):
    whole = np.zeros((7, 300), np.float32)
    write_parts(tmp_path / "ckpt", whole, {"0,4:-": np.s_[:4]})
    with pytest.raises(ValueError, match="its 1 slices do not cover the shape"):
        CheckpointValues(tmp_path / "ckpt").read("kernel")
