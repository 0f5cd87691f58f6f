"""What Keras saved about its layers beside a SavedModel, as JSON: `keras_metadata.pb`, or the object graph before 2.5.

The messages are those of keras/protobuf/saved_metadata.proto. Nothing here reads the JSON: it may hold bytecode.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import message

from surgery import limits
from surgery.formats.declared import declare

KERAS_METADATA = "keras_metadata.pb"


@dataclass(frozen=True, kw_only=True)
class SavedLayer:
    """What Keras saved about a layer.

    Attributes:
        node: The layer's node in the object graph; None in a file that does not parse.
        name: The layer's path from the root, such as "root.bert", or where it was found.
        metadata: The JSON text. Of a file that does not parse it is the whole file.
    """

    node: int | None
    name: str
    metadata: str


def saved_layers(folder: Path | None, saved_model: Any) -> Iterator[SavedLayer]:
    """What Keras saved about each layer. Raises LimitError for a file that is too large."""
    for meta_graph in saved_model.meta_graphs:
        for number, node in enumerate(meta_graph.object_graph_def.nodes):
            if node.user_object.metadata:
                yield SavedLayer(node=number, name=f"object {number}", metadata=node.user_object.metadata)
    if folder is None or not (path := folder / KERAS_METADATA).is_file():
        return
    limits.check("saved_model_bytes", path.stat().st_size, f"reading {path}")
    data = path.read_bytes()
    try:
        saved = _SavedMetadata.FromString(data)
    except message.DecodeError:
        yield SavedLayer(node=None, name=KERAS_METADATA, metadata=data.decode(errors="replace"))
        return
    for node in saved.nodes:
        yield SavedLayer(node=node.node_id, name=node.node_path, metadata=node.metadata.decode(errors="replace"))


_SavedMetadata = declare(
    """
    name: "surgery/keras_metadata.proto" package: "surgery" syntax: "proto3"
    message_type {
      name: "SavedMetadata"
      field {
        name: "nodes" number: 1 type: TYPE_MESSAGE label: LABEL_REPEATED type_name: ".surgery.KerasSavedObject"
      }
    }
    message_type {
      name: "KerasSavedObject"
      field { name: "node_id" number: 2 type: TYPE_INT32 label: LABEL_OPTIONAL }
      field { name: "node_path" number: 3 type: TYPE_STRING label: LABEL_OPTIONAL }
      field { name: "metadata" number: 5 type: TYPE_BYTES label: LABEL_OPTIONAL }
    }
    """
)["SavedMetadata"]
