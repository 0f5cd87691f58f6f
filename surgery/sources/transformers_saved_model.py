"""SavedModels of Hugging Face's TensorFlow classes: `save_pretrained(folder, saved_model=True)`, transformers to 4.57.

A class such as TFBertForSequenceClassification keeps its encoder in a layer of its own (TFBertMainLayer), which is
saved with its calls. That layer is inspected; a head around it is outside, as around a hub.KerasLayer. What Keras saved
about the layer holds the model's config, which has no file of its own in a SavedModel.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from surgery.formats import object_graph
from surgery.formats.keras_metadata import KERAS_METADATA, saved_layers
from surgery.formats.text_files import parse_json
from surgery.module import Config, InspectedModule, TensorInfo, Trace
from surgery.module.traces import Arguments
from surgery.sources import tf2
from surgery.sources.around import with_outside
from surgery.sources.files import SAVED_MODEL, Files
from surgery.sources.hugging_face import WEIGHTS, tokenizer_constants, tokenizer_files
from surgery.sources.structures import argument_names
from surgery.wording import is_number

KNOWN_BY = SAVED_MODEL
EXPECTED = tf2.EXPECTED
MAIN_CLASS = re.compile(r"(?:Custom>)?TF\w+MainLayer")
MAIN_LAYER = re.compile(rf'"class_name":\s*"{MAIN_CLASS.pattern}"')
CALL = "__call__"


@dataclass(frozen=True, kw_only=True)
class MainLayer:
    """The layer that holds an encoder.

    Attributes:
        node: Its node in the object graph.
        name: Its name, such as "bert".
        model: The class of the model, such as "TFBertModel", or "Functional" for one of a user's own.
        config: The model's config. Its `architectures` are the class, as in a config.json.
    """

    node: int
    name: str
    model: str
    config: Config


def accepts(files: Files) -> bool:
    """True for a SavedModel with one layer that holds an encoder."""
    return len(_main_layers(files)) == 1


def inspect(files: Files) -> InspectedModule:
    """Reads the encoder in the layer, the model's config, and the tokenizer's files around the SavedModel."""
    (layer,) = _main_layers(files)
    module = tf2.inspect_below(files, layer.node)
    assert files.with_objects is not None, "`accepts` is true only where there is one"
    variables = with_outside(module.variables, files, layer.node)
    alone = all(variable.outside is None for variable in variables)
    arguments = _arguments(files.with_objects.object_graph_def, layer.node)
    tokenizer, constants = _tokenizer(files, layer.config)
    return replace(
        module,
        format=f"TF2 SavedModel of transformers ({layer.model})",
        variables=variables,
        scope=_scope(next((v.name for v in variables if v.outside is None), ""), layer.name),
        assets={**module.assets, **tokenizer},
        traces=tuple(_by_name(trace, arguments) for trace in module.traces if trace.callable == CALL),
        signature_traces=module.signature_traces if alone else {},
        around={} if alone else module.signature_traces,
        training_config=layer.config,
        constants=constants,
    )


def saved_model_below(folder: Path) -> Path | None:
    """The SavedModel in a folder that transformers has written, `saved_model/1`, of several that of the last version.

    None for a folder that is read as it is: a SavedModel, or a checkpoint with its weights.
    """
    if any((folder / name).exists() for name in (SAVED_MODEL, WEIGHTS)):
        return None
    found = [path.parent for path in folder.glob(f"saved_model/*/{SAVED_MODEL}") if is_number(path.parent.name)]
    return max(found, key=lambda path: int(path.name), default=None)


def _main_layers(files: Files) -> list[MainLayer]:
    """The layers that hold an encoder and its config, as what Keras saved about them says."""
    if files.with_objects is None:
        return []
    saved = {layer.node: layer.metadata for layer in saved_layers(files.folder, files.saved_model)}
    doing = f"reading {files.folder / KERAS_METADATA}"
    found = []
    for node, metadata in saved.items():
        if node is None or MAIN_LAYER.search(metadata) is None:
            continue
        layer, root = parse_json(metadata, doing), parse_json(saved.get(object_graph.ROOT, "{}"), doing)
        config, model = layer["config"].get("config"), root.get("class_name", layer["class_name"])
        if MAIN_CLASS.fullmatch(layer["class_name"]) and isinstance(config, dict):
            values = {**config, "architectures": [model.removeprefix("TF")]}
            described = Config(file=KERAS_METADATA, values=values)
            found.append(MainLayer(node=node, name=layer["name"], model=model, config=described))
    return found


def _tokenizer(files: Files, config: Config) -> tuple[dict[str, str], dict[str, Any]]:
    """The files of the tokenizer, relative to the SavedModel, and the constants that its config states."""
    written = files if files.around is None else replace(files, folder=files.around)
    up = os.path.relpath(written.folder, files.folder)
    names = tokenizer_files(written, config)
    found = {attribute: os.path.normpath(os.path.join(up, name)) for attribute, name in names.items()}
    return found, tokenizer_constants(written)


def _scope(name: str, layer: str) -> str:
    """The scope of a layer whose variable has this name: "tf_bert_model/" for `tf_bert_model/bert/embeddings/…`."""
    before, found, _ = f"/{name}".partition(f"/{layer}/")
    return f"{before}/".removeprefix("/") if found else ""


def _arguments(graph: Any, node: int) -> tuple[str, ...]:
    """Names of the arguments of a layer's call."""
    call = object_graph.children(graph, node).get(CALL)
    return () if call is None else argument_names(graph.nodes[call].function.function_spec)


def _by_name(trace: Trace, names: Sequence[str]) -> Trace:
    """The trace with its tensors by the names of the arguments, among which many are None."""
    given = zip(names, trace.inputs, strict=False) if isinstance(trace.inputs, tuple) else ()
    tensors = Arguments((name, value) for name, value in given if isinstance(value, TensorInfo))
    return replace(trace, inputs=tensors) if len(tensors) == len(trace.flat_inputs) else trace
