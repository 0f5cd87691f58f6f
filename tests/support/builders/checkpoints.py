"""TF1 checkpoints as google-research/bert and google-research/albert publish them, made of the TF1 sample modules.

The `variables/` of a TF1 hub.Module is such a checkpoint, written by TensorFlow 1's Saver: a released one is the same
files under other names, and needs no TensorFlow here. One from the middle of training has more in it.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from surgery.formats import saved_model as saved_model_pb

from .common import PACKED, change_config, random_value, unpack

Tensors = dict[str, np.ndarray]


class Release(NamedTuple):
    """What a publisher calls the files of a checkpoint, and its config."""

    prefix: str
    config_file: str
    config: Mapping[str, Any]


_BERT = {
    "attention_probs_dropout_prob": 0.1,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 48,
    "initializer_range": 0.02,
    "intermediate_size": 100,
    "max_position_embeddings": 64,
    "num_attention_heads": 6,
    "num_hidden_layers": 3,
    "type_vocab_size": 2,
    "vocab_size": 1200,
}
_ALBERT = _BERT | {
    "attention_probs_dropout_prob": 0,
    "embedding_size": 24,
    "hidden_dropout_prob": 0,
    "inner_group_num": 1,
    "num_attention_heads": 4,
    "num_hidden_groups": 1,
    "num_hidden_layers": 4,
}
RELEASES: Mapping[str, Release] = MappingProxyType(
    {
        "tf1_bert_small": Release("bert_model.ckpt", "bert_config.json", _BERT),
        "tf1_albert_small": Release("model.ckpt-best", "albert_config.json", _ALBERT),
    }
)
"""By the sample whose weights they are; both configs say what the graphs of the samples show."""
SECOND_NORM = "bert/encoder/transformer/group_0/inner_group_0/LayerNorm_1/"
"""The norm that ALBERT's block has of its own where its variables are not reused."""


def build_released(folder: Path, sample: str = "tf1_bert_small", *without: str, **config: Any) -> Path:
    """A released checkpoint: weights, config with these changes, vocabulary; no graph. Needs no TensorFlow."""
    release = RELEASES[sample]
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        module = unpack(PACKED / f"{sample}.tar.gz", Path(scratch) / "module")
        for path in (module / "variables").iterdir():
            shutil.copy(path, folder / path.name.replace("variables", release.prefix))
        for path in (module / "assets").iterdir():
            shutil.copy(path, folder / path.name)
    (folder / release.config_file).write_text(json.dumps(dict(release.config)), encoding="utf-8")
    change_config(folder / release.config_file, *without, **config)
    return folder


def build_trained(
    folder: Path, sample: str = "tf1_bert_small", *, second_norm: bool = False, shards: int = 1, **config: Any
) -> Path:
    """A checkpoint of pre-training: also Adam's slots, the step and the next-sentence head, written by TensorFlow."""
    prefix = build_released(folder, sample, **config) / RELEASES[sample].prefix
    tensors = read_tensors(prefix)
    tensors["cls/seq_relationship/output_weights"] = random_value("output_weights", (2, 48), 1)
    tensors["cls/seq_relationship/output_bias"] = random_value("bias", (2,), 1)
    if second_norm:
        tensors |= {SECOND_NORM + leaf: random_value(leaf, (48,), 2) for leaf in ("gamma", "beta")}
    slots = {
        f"{name}/{slot}": np.abs(random_value(slot, value.shape, 3))
        for name, value in tensors.items()
        for slot in ("adam_m", "adam_v")
    }
    write_tensors(prefix, {**tensors, **slots, "global_step": np.asarray(1000, np.int64)}, shards)
    return folder


def read_tensors(prefix: Path) -> Tensors:
    """Every tensor of a checkpoint by its key."""
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(prefix))
    return {name: np.asarray(reader.get_tensor(name)) for name in sorted(reader.get_variable_to_shape_map())}


def write_tensors(prefix: Path, tensors: Mapping[str, np.ndarray], shards: int = 1) -> None:
    """Write a checkpoint over that of the same prefix, spread over so many files."""
    import tensorflow as tf

    for path in prefix.parent.glob(f"{prefix.name}.*"):
        path.unlink()
    names = list(tensors)
    with tempfile.TemporaryDirectory(dir=prefix.parent) as scratch:
        parts = [f"{scratch}/part-{number}" for number in range(shards)]
        for number, part in enumerate(parts):
            own = names[number::shards]
            values = [tf.constant(tensors[name]) for name in own]
            tf.raw_ops.SaveV2(prefix=part, tensor_names=own, shape_and_slices=[""] * len(own), tensors=values)
        tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=parts, destination_prefix=str(prefix))


def write_module_graph(
    path: Path, sample: str = "tf1_bert_small", edit: Callable[[Any], None] = lambda graph: None
) -> None:
    """Write the inference graph of a sample's hub.Module, changed by `edit`, as a `.meta` file. Needs no TensorFlow."""
    with tempfile.TemporaryDirectory() as scratch:
        saved_model = saved_model_pb.read(
            unpack(PACKED / f"{sample}.tar.gz", Path(scratch) / "module") / "saved_model.pb"
        )
    meta_graph = next(graph for graph in saved_model.meta_graphs if not graph.meta_info_def.tags)
    edit(meta_graph)
    path.write_bytes(meta_graph.SerializeToString())
