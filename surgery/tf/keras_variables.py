"""What a layer of Keras 3 and TensorFlow's SavedModels need from each other."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


class LayerWeight(keras.Variable):  # type: ignore[misc]  # Keras has no types
    """A weight of the layer: Keras's handle of a variable, which is TensorFlow's."""

    def _export_to_saved_model_graph(self, object_map: Any, tensor_map: Any, options: Any, **kwargs: Any) -> list[Any]:
        """Maps the weight to the variable in the graph that is saved.

        Keras maps it to a copy, and the variable once more to another one. Functions and restoring operations then
        disagree, and a server finds a variable without a value.
        """
        created = []
        if self.value not in object_map:
            created = self.value._export_to_saved_model_graph(object_map, tensor_map, options, **kwargs)
        object_map[self] = object_map[self.value]
        return created


class HeldExport(tf.saved_model.experimental.TrackableResource):  # type: ignore[misc]  # TensorFlow has no types
    """What `model.export` takes along besides weights: Keras looks for resources, such as tables, and writes them.

    It holds the loaded export as `_func`, the name under which a hub.KerasLayer has its module, and under which
    surgery.sources.hub_layer finds it. The resource itself is the handle of a variable that nobody reads.
    """

    def __init__(self, loaded: Any) -> None:
        super().__init__()
        self._track_trackable(loaded, "_func")

    def _create_resource(self) -> tf.Tensor:
        return tf.raw_ops.VarHandleOp(dtype=tf.bool, shape=[])
