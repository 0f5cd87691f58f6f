"""Values of a module's variables, read one at a time by TensorFlow's own checkpoint reader.

A TF2 checkpoint's keys carry no names. Its own object graph, stored under `_CHECKPOINTABLE_OBJECT_GRAPH`, is walked
by the same child names as the SavedModel's, and the variable's attribute there says its key.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorboard.compat.proto import trackable_object_graph_pb2

from surgery.errors import ModuleError
from surgery.formats.object_graph import path_names
from surgery.module import VariableInfo
from surgery.tf.reasons import reason

UNREADABLE = (tf.errors.OpError, ValueError, RuntimeError, LookupError)
"""What the reader raises for a damaged bundle; it turns some status codes into Python's own exceptions."""
OBJECT_GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"


class CheckpointTensors:
    """The tensors of a checkpoint, `prefix.index` and `prefix.data-*`.

    Raises ModuleError when the bundle is missing or damaged, or a variable is not in it or has another shape.
    """

    def __init__(self, prefix: Path) -> None:
        self._prefix = str(prefix)
        try:
            self._reader = tf.train.load_checkpoint(self._prefix)
            self._shapes = self._reader.get_variable_to_shape_map()
            self._graph = None
            if OBJECT_GRAPH_KEY in self._shapes:
                self._graph = trackable_object_graph_pb2.TrackableObjectGraph.FromString(
                    self._reader.get_tensor(OBJECT_GRAPH_KEY)
                )
        except UNREADABLE as error:
            raise ModuleError(
                f"opening the weights {self._prefix}.*: {reason(error)}",
                hint="the checkpoint is incomplete or damaged: fetch the module again",
            ) from error

    def check(self, variables: Iterable[VariableInfo]) -> None:
        """Looks every variable up without reading it: present, and in the shape that the graph says."""
        for variable in variables:
            key = self._key(variable)
            if key not in self._shapes:
                raise ModuleError(f"reading {variable.name} from {self._prefix}.*: no tensor under the key {key}")
            if tuple(self._shapes[key]) != variable.shape:
                raise ModuleError(
                    f"reading {variable.name} from {self._prefix}.*: the graph says {list(variable.shape)}, "
                    f"the checkpoint has {list(self._shapes[key])}"
                )

    def read(self, variable: VariableInfo) -> np.ndarray:
        """The value of a variable, in the shape in which the module stores it."""
        self.check([variable])
        try:
            return np.asarray(self._reader.get_tensor(self._key(variable)))
        except UNREADABLE as error:
            raise ModuleError(
                f"reading {variable.name} from {self._prefix}.*: {reason(error)}",
                hint="the checkpoint is truncated or damaged: fetch the module again",
            ) from error

    def _key(self, variable: VariableInfo) -> str:
        if self._graph is None or variable.path is None:
            return variable.name
        node = 0
        for name in path_names(variable.path):
            children = {child.local_name: child.node_id for child in self._graph.nodes[node].children}
            if name not in children:
                raise ModuleError(
                    f"reading {variable.name} from {self._prefix}.*: the checkpoint's object graph has no "
                    f"'{name}' on the way {variable.path}"
                )
            node = children[name]
        keys = [attribute.checkpoint_key for attribute in self._graph.nodes[node].attributes]
        if len(keys) != 1:
            raise ModuleError(f"reading {variable.name} from {self._prefix}.*: expected one tensor, found {keys}")
        key: str = keys[0]
        return key
