"""Models re-saved around a layer that holds a module, such as a fine-tuned classifier. The module inside is inspected.

tensorflow_hub/keras_layer.py keeps the loaded module as its attribute `_func`, which is saved with the model, including
its calls and assets. The layer registers each of the module's weights under the weight's whole name; keys of such
checkpoints therefore read `transformer.Slayer_0.S…`. The variables hold the fine-tuned values. Variables around the
layer (a classifier, an optimiser's slots, metrics) are listed as outside. A model around a surgery.keras.Encoder has
the module under the same name, where Keras 3 writes tables and other resources (surgery.tf.keras_variables).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from surgery.errors import ModuleError
from surgery.formats import object_graph
from surgery.formats.tensors import dtype_name
from surgery.module import InspectedModule
from surgery.sources import tf2
from surgery.sources.around import with_outside
from surgery.sources.files import SAVED_MODEL, Files

KNOWN_BY = SAVED_MODEL
EXPECTED = tf2.EXPECTED
MODULE = "_func"


def accepts(files: Files) -> bool:
    """True for a SavedModel with a layer that holds a module with weights of its own."""
    return bool(_layers(files))


def inspect(files: Files) -> InspectedModule:
    """Reads the module inside the layer. Raises ModuleError when several layers hold a module."""
    layers = _layers(files)
    if len(layers) > 1:
        raise ModuleError(
            f"opening {files.folder}: expected one encoder in a layer, found {len(layers)}: "
            + ", ".join(sorted(layers)),
            hint="save the layer that you want as a model of its own",
        )
    ((path, node),) = layers.items()
    module = tf2.inspect_below(files, node)
    return replace(
        module,
        format=f"TF2 SavedModel around a layer with a module ({path})",
        variables=with_outside(module.variables, files, node),
        signature_traces={},
        around=module.signature_traces,
    )


def _layers(files: Files) -> dict[str, int]:
    """Node of each module that a layer below the root holds, by the layer's path.

    Only modules with floating-point variables count.
    """
    if files.with_objects is None:
        return {}
    graph = files.with_objects.object_graph_def
    found = {}
    for node, path in files.object_paths.items():
        owner, _, name = path.rpartition("/")
        if name == MODULE and owner and any(_is_weight(graph.nodes[n]) for n in object_graph.below(graph, node)):
            found[owner] = node
    return found


def _is_weight(node: Any) -> bool:
    return node.WhichOneof("kind") == "variable" and dtype_name(node.variable.dtype).startswith("float")
