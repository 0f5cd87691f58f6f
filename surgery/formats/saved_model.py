"""`saved_model.pb` as a protobuf message, without TensorFlow.

tensorboard ships MetaGraphDef and the object graph as plain protobuf modules. Only the outer message is missing
(tensorflow/core/protobuf/saved_model.proto: field 1 `saved_model_schema_version`, field 2 `meta_graphs`), so it is
declared here at run time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.protobuf import message, message_factory
from tensorboard.compat.proto import meta_graph_pb2

from surgery import limits
from surgery.errors import ModuleError
from surgery.formats.declared import declare

SavedModel = declare(
    """
    name: "surgery/saved_model.proto" package: "surgery" syntax: "proto3"
    message_type {
      name: "SavedModel"
      field { name: "saved_model_schema_version" number: 1 type: TYPE_INT64 label: LABEL_OPTIONAL }
      field {
        name: "meta_graphs" number: 2 type: TYPE_MESSAGE label: LABEL_REPEATED type_name: ".tensorboard.MetaGraphDef"
      }
    }
    """,
    meta_graph_pb2.DESCRIPTOR,
)["SavedModel"]


def read(path: Path) -> Any:
    """The SavedModel message of a `saved_model.pb`.

    Raises ModuleError when the file cannot be read, does not parse, or holds no meta graph, and LimitError when it is
    too large.
    """
    doing = f"reading {path}"
    try:
        limits.check("saved_model_bytes", path.stat().st_size, doing)
        data = path.read_bytes()
    except OSError as error:
        raise ModuleError(f"{doing}: {error.strerror}", hint="check the path and its permissions") from error
    saved_model = SavedModel()
    try:
        saved_model.ParseFromString(data)
    except (message.DecodeError, RecursionError) as error:
        from surgery.formats.nesting import deeper  # only a file that does not parse is looked at

        if deeper(SavedModel.DESCRIPTOR, data, limits.limit("message_depth")):
            raise limits.exceeded("message_depth", None, doing) from error
        raise ModuleError(
            f"{doing}: expected a SavedModel message, found {len(data)} bytes that do not parse as one",
            hint="the file is truncated or no SavedModel: fetch the module again",
        ) from error
    if not saved_model.meta_graphs or not any(g.graph_def.node for g in saved_model.meta_graphs):
        raise ModuleError(
            f"{doing}: expected at least one meta graph, found none in {len(data)} bytes",
            hint="the file is empty, truncated or no SavedModel: fetch the module again",
        )
    for graph in (meta_graph.graph_def for meta_graph in saved_model.meta_graphs):
        functions = graph.library.function
        limits.check("functions", len(functions), doing)
        limits.check("nodes", len(graph.node) + sum(len(function.node_def) for function in functions), doing)
    return saved_model


def asset_files(meta_graph: Any) -> list[Any]:
    """A meta graph's AssetFileDefs. TensorFlow 1 keeps them in a collection."""
    if meta_graph.asset_file_def or "saved_model_assets" not in meta_graph.collection_def:
        return list(meta_graph.asset_file_def)
    asset = message_factory.GetMessageClass(type(meta_graph).DESCRIPTOR.fields_by_name["asset_file_def"].message_type)
    packed = meta_graph.collection_def["saved_model_assets"].any_list.value
    return [asset.FromString(item.value) for item in packed]


def tensor_names(info: Any) -> tuple[str, ...]:
    """Names of the tensors of a TensorInfo: one, or the parts of a sparse or ragged tensor."""
    encoding = info.WhichOneof("encoding")
    if encoding == "coo_sparse":
        parts = info.coo_sparse
        return (parts.indices_tensor_name, parts.values_tensor_name, parts.dense_shape_tensor_name)
    if encoding == "composite_tensor":
        return tuple(component.name for component in info.composite_tensor.components)
    return (info.name,) if info.name else ()
