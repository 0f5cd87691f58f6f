"""The index as surgery reads it against TensorFlow's own reader."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from surgery.formats.checkpoint_index import read_index
from tests.support.builders.checkpoints import write_tensors


def listed_by_tensorflow(prefix):
    """Dtype and shape by key."""
    reader = tf.train.load_checkpoint(str(prefix))
    dtypes = reader.get_variable_to_dtype_map()
    return {key: (dtypes[key].name, tuple(shape)) for key, shape in reader.get_variable_to_shape_map().items()}


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("tf1_bert_small", "variables/variables"),
        ("g2_small", "variables/variables"),
        ("tf1_bert_training", "bert_model.ckpt"),
        ("tf1_albert_training", "model.ckpt-best"),
    ],
)
def test_every_entry_is_what_tensorflow_says(name, prefix, source):
    path = source(name) / prefix
    found = read_index(path.with_name(f"{path.name}.index"))
    assert {key: (e.dtype, e.shape) for key, e in found.entries.items()} == listed_by_tensorflow(path)
    shards = sorted(path.parent.glob(f"{path.name}.data-*"))
    assert found.shards == len(shards)
    for number, shard in enumerate(shards):
        assert sum(e.nbytes for e in found.entries.values() if e.shard == number) == shard.stat().st_size


@pytest.mark.parametrize(
    "dtype", ["float16", "float64", "int8", "uint8", "int32", "int64", "bool", "complex64", "bfloat16"]
)
def test_other_dtypes_have_tensorflow_s_names(dtype, tmp_path):
    shape = (2, 3, 1)
    write_tensors(tmp_path / "ckpt", {"v": tf.cast(tf.zeros(shape), dtype).numpy()})
    entry = read_index(tmp_path / "ckpt.index").entries["v"]
    assert (entry.dtype, entry.shape) == (dtype, shape)
    assert entry.nbytes == 6 * tf.as_dtype(dtype).size


def test_an_index_of_many_blocks_is_read_whole(tmp_path):
    # TensorFlow begins a new block at 256 KiB; long keys fill two.
    values = {f"{number}/{'x' * 200}": np.zeros(number % 3, np.float32) for number in range(2500)}
    write_tensors(tmp_path / "ckpt", values)
    assert (tmp_path / "ckpt.index").stat().st_size > 2 * 2**18
    found = read_index(tmp_path / "ckpt.index").entries
    assert {key: entry.shape for key, entry in found.items()} == {key: value.shape for key, value in values.items()}
