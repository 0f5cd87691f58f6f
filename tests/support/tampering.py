"""Changed copies of exports and modules: tensors rewritten in the checkpoint, files cut."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorboard.compat.proto import trackable_object_graph_pb2

OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"

Change = Callable[[np.ndarray], np.ndarray]
Values = Mapping[str, np.ndarray]
"""Values of variables, by name."""


def with_tensors(module: Path, folder: Path, changes: Mapping[str, Change]) -> Path:
    """Copies a SavedModel to `folder` and rewrites its checkpoint with the named variables' values changed."""
    with_values(module, folder, lambda values: {name: change(values[name].copy()) for name, change in changes.items()})
    return folder


def with_values(module: Path, folder: Path, change: Callable[[Values], Values]) -> frozenset[str]:
    """Copies a SavedModel to `folder` with the values that `change` makes of all of them; returns the changed names."""
    shutil.copytree(module, folder)
    prefix = str(folder / "variables" / "variables")
    reader = tf.train.load_checkpoint(prefix)
    tensors = {key: reader.get_tensor(key) for key in reader.get_variable_to_shape_map()}
    graph = trackable_object_graph_pb2.TrackableObjectGraph.FromString(tensors[OBJECT_GRAPH])
    key_of = {a.full_name: a.checkpoint_key for node in graph.nodes for a in node.attributes}
    changed = change({name: tensors[key] for name, key in key_of.items() if name})
    for name, value in changed.items():
        before = tensors[key_of[name]]
        value = np.asarray(value, before.dtype)
        tensors[key_of[name]] = value.reshape(before.shape) if value.size == before.size else value
    shutil.rmtree(folder / "variables")
    (folder / "variables").mkdir()
    keys = list(tensors)
    tf.raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=keys,
        shape_and_slices=[""] * len(keys),
        tensors=[tf.constant(tensors[key]) for key in keys],
    )
    return frozenset(changed)


def with_flipped_byte(module: Path, folder: Path) -> Path:
    """Copies a SavedModel and flips one byte in the middle of its weights."""
    shutil.copytree(module, folder)
    (path,) = (folder / "variables").glob("*.data-*")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x40
    path.write_bytes(data)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, byte for byte."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
