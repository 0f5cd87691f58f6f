"""Values of a module's variables, read one at a time from its checkpoint.

The keys of a TF2 checkpoint are not the variables' names. The checkpoint has an object graph of its own, stored under
`_CHECKPOINTABLE_OBJECT_GRAPH`. It is followed by the child names of the variable's path in the SavedModel, and the
attribute of the object at the end names the key.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import message
from tensorboard.compat.proto import trackable_object_graph_pb2

from surgery import limits
from surgery.errors import LimitError, ModuleError
from surgery.formats.checkpoint_values import CheckpointValues
from surgery.formats.object_graph import path_names
from surgery.module import VariableInfo

OBJECT_GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"


class CheckpointTensors:
    """The tensors of a checkpoint, `PREFIX.index` and `PREFIX.data-*`.

    Raises ModuleError when the checkpoint is missing or damaged, or a variable is not in it or has another shape.
    """

    def __init__(self, prefix: Path) -> None:
        self._prefix = str(prefix)
        try:
            self._values = CheckpointValues(prefix)
            self._graph: Any = None
            if OBJECT_GRAPH_KEY in self._values.entries:
                size = self._values.entries[OBJECT_GRAPH_KEY].nbytes
                limits.check("saved_model_bytes", size, f"reading the object graph of {self._prefix}.*")
                self._graph = trackable_object_graph_pb2.TrackableObjectGraph.FromString(
                    self._values.read(OBJECT_GRAPH_KEY).item()
                )
        except LimitError:
            raise
        except (ModuleError, OSError, ValueError, TypeError, message.DecodeError) as error:
            raise ModuleError(
                f"opening the weights {self._prefix}.*: {_reason(error)}",
                hint="the checkpoint is incomplete or damaged: fetch the module again",
            ) from error

    def check(self, variables: Iterable[VariableInfo]) -> None:
        """Looks up every variable without reading it: it must be there, in the shape that the graph says."""
        for variable in variables:
            key = self._key(variable)
            if key not in self._values.entries:
                raise ModuleError(f"reading {variable.name} from {self._prefix}.*: no tensor under the key {key}")
            if (shape := self._values.entries[key].shape) != variable.shape:
                raise ModuleError(
                    f"reading {variable.name} from {self._prefix}.*: the graph says {list(variable.shape)}, "
                    f"the checkpoint has {list(shape)}"
                )

    def read(self, variable: VariableInfo) -> np.ndarray:
        """The value of a variable, in the shape in which the module stores it."""
        self.check([variable])
        try:
            return self._values.read(self._key(variable))
        except (OSError, ValueError) as error:
            raise ModuleError(
                f"reading {variable.name} from {self._prefix}.*: {_reason(error)}",
                hint="the checkpoint is truncated or damaged: fetch the module again",
            ) from error

    def _key(self, variable: VariableInfo) -> str:
        if self._graph is None or variable.path is None:
            return variable.name
        node = 0
        for name in path_names(variable.path):
            children = {child.local_name: child.node_id for child in self._object(node).children}
            if name not in children:
                raise ModuleError(
                    f"reading {variable.name} from {self._prefix}.*: the checkpoint's object graph has no "
                    f"'{name}' on the way {variable.path}"
                )
            node = children[name]
        keys = [attribute.checkpoint_key for attribute in self._object(node).attributes]
        if len(keys) != 1:
            raise ModuleError(f"reading {variable.name} from {self._prefix}.*: expected one tensor, found {keys}")
        return str(keys[0])

    def _object(self, number: int) -> Any:
        """An object of the checkpoint's graph. A damaged graph may name one that is not there: then it has nothing."""
        graph = self._graph
        return graph.nodes[number] if 0 <= number < len(graph.nodes) else type(graph)().nodes.add()


def _reason(error: Exception) -> str:
    return error.message if isinstance(error, ModuleError) else str(error)
