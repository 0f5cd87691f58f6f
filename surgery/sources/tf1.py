"""TF1 SavedModels: hub.Modules (tag sets `{}` and `{train}`) and plain ones, such as those that an Estimator exports.

Lists of trainable variables, assets and attachments are graph collections. The collection names are TensorFlow 1's;
`hub_module_attachments` holds tensorflow_hub's ModuleAttachment messages
(tensorflow_hub/module_attachment.proto up to 0.15: `key` = 1, `value` = 2).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial
from typing import Any

from google.protobuf import message_factory
from tensorboard.compat.proto import variable_pb2

from surgery.formats.declared import declare
from surgery.formats.tensors import dtype_name, shape_of, to_array
from surgery.graphs.flat import VARIABLES, FlatGraph
from surgery.module import Config, InspectedModule, TensorInfo, Trace, VariableInfo, for_inference
from surgery.sources import common
from surgery.sources.files import SAVED_MODEL, Files

KNOWN_BY = SAVED_MODEL
EXPECTED = f"SavedModel ({SAVED_MODEL})"

TOKENIZATION = "tokenization_info"
CALLS = {"tokens": "__call__", "mlm": "mlm"}
"""Signatures of Hub's TF1 text modules, and the TF2 calls that they become."""
ATTACHMENTS = "hub_module_attachments"


def accepts(files: Files) -> bool:
    """True for a SavedModel of which no meta graph has an object graph."""
    saved_model = files.saved_model
    return saved_model is not None and not any(g.object_graph_def.nodes for g in saved_model.meta_graphs)


def inspect(files: Files) -> InspectedModule:
    """Reads the meta graph for inference and its collections. A hub.Module is recognised by its `tfhub_module.pb`."""
    saved_model, folder = files.saved_model, files.folder
    assert saved_model is not None, "`accepts` is true only where there is one"
    number = for_inference([graph.meta_info_def.tags for graph in saved_model.meta_graphs])
    inference = saved_model.meta_graphs[number or 0]
    hub = (folder / "tfhub_module.pb").is_file()
    assets = _assets(inference)
    variables = _variables(inference)
    traces = tuple(_traces(saved_model.meta_graphs))
    return InspectedModule(
        name=files.name,
        folder=str(folder),
        format="TF1 hub.Module" if hub else "TF1 SavedModel",
        tensorflow_version=inference.meta_info_def.tensorflow_version,
        meta_graphs=common.meta_graphs(saved_model),
        variables=variables,
        assets=assets,
        traces=traces,
        attached_messages={tuple(sorted(g.meta_info_def.tags)): _attachments(g) for g in saved_model.meta_graphs},
        constants=_constants(inference),
        fingerprint=common.fingerprint(folder, *common.SIGNED),
        saved_model_bytes=(folder / SAVED_MODEL).stat().st_size,
        problems=(
            *common.missing_assets(files, assets.values()),
            *(common.checkpoint_problems(files, common.VARIABLES) if variables else ()),
        ),
        training_config=None if traces else _training_config(files),
        whole_graph=None if traces else cache(partial(FlatGraph.of_whole_graph_def, inference.graph_def)),
        open_tensors=partial(common.open_checkpoint, folder / common.VARIABLES),
        saved_model=saved_model,
    )


def _training_config(files: Files) -> Config | None:
    """The config of the encoder that was trained, which its user may lay beside the graph; an exporter writes none."""
    found = files.glob(common.GOOGLE_CONFIG)
    return common.read_config(found[0]) if found else None


def _variables(meta_graph: Any) -> tuple[VariableInfo, ...]:
    """The graph's variables under their checkpoint names. Partitioned variables are listed part by part."""
    trainable = {
        variable_pb2.VariableDef.FromString(data).variable_name.removesuffix(":0")
        for data in meta_graph.collection_def["trainable_variables"].bytes_list.value
    }
    found = []
    for node in meta_graph.graph_def.node:
        if node.op not in VARIABLES:
            continue
        dtype = dtype_name(node.attr["dtype"].type)
        shape = tuple(size or 0 for size in shape_of(node.attr["shape"].shape) or ())
        size = common.size_in_bytes(dtype, shape)
        found.append(
            VariableInfo(name=node.name, dtype=dtype, shape=shape, trainable=node.name in trainable, nbytes=size)
        )
    return tuple(found)


def _traces(meta_graphs: Any) -> Iterator[Trace]:
    """The signatures of a text module as calls, in every meta graph; in the one tagged "train", training is true."""
    for meta_graph in meta_graphs:
        for name, callable_name in CALLS.items():
            if name not in meta_graph.signature_def:
                continue
            signature = meta_graph.signature_def[name]
            inputs = {key: _tensor(key, signature.inputs[key]) for key in sorted(signature.inputs)}
            outputs = {key: _tensor(key, signature.outputs[key]) for key in sorted(signature.outputs)}
            names = [[str(leaf.name) for leaf in side.values()] for side in (inputs, outputs)]
            yield Trace(
                callable=callable_name,
                function=name,
                training="train" in meta_graph.meta_info_def.tags,
                inputs=inputs,
                outputs=outputs,
                captures=(),
                open_graph=cache(partial(FlatGraph.of_graph_def, meta_graph.graph_def, *names)),
            )


def _tensor(key: str, info: Any) -> TensorInfo:
    return TensorInfo(key=key, dtype=dtype_name(info.dtype), shape=shape_of(info.tensor_shape), name=info.name)


def _constants(meta_graph: Any) -> dict[str, Any]:
    """Numeric constants that the signature `tokenization_info` returns, such as `do_lower_case`.

    The files that the signature names are assets.
    """
    if TOKENIZATION not in meta_graph.signature_def:
        return {}
    nodes = {node.name: node for node in meta_graph.graph_def.node}
    outputs = meta_graph.signature_def[TOKENIZATION].outputs
    found = {}
    for key in sorted(outputs):
        node = nodes[outputs[key].name.partition(":")[0]]
        value = to_array(node.attr["value"].tensor) if node.op == "Const" else None
        if value is not None:
            found[key] = value
    return found


def _assets(meta_graph: Any) -> dict[str, str]:
    """Asset files by the name of the tensor that holds their path, without `:0`.

    A SentencePiece model has the key `sp_model_file`.
    """
    paths = common.assets_by_tensor(meta_graph)
    for packed in meta_graph.collection_def["saved_model_assets"].any_list.value:
        asset = type(meta_graph).DESCRIPTOR.fields_by_name["asset_file_def"].message_type
        message = message_factory.GetMessageClass(asset).FromString(packed.value)
        paths[message.tensor_info.name] = f"assets/{message.filename}"
    return {
        "sp_model_file" if filename.endswith(".model") else tensor.removesuffix(":0"): filename
        for tensor, filename in paths.items()
    }


def _attachments(meta_graph: Any) -> dict[str, bytes]:
    """Attached messages of a meta graph by key, as bytes: the file does not say their types."""
    messages = (_ModuleAttachment.FromString(data) for data in meta_graph.collection_def[ATTACHMENTS].bytes_list.value)
    return {message.key: message.value for message in messages}


_ModuleAttachment = declare(
    """
    name: "surgery/module_attachment.proto" package: "surgery" syntax: "proto3"
    message_type {
      name: "ModuleAttachment"
      field { name: "key" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
      field { name: "value" number: 2 type: TYPE_BYTES label: LABEL_OPTIONAL }
    }
    """
)["ModuleAttachment"]
