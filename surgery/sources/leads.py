"""What gets further with a file that is no module: the lines to type, as the hint of an error.

A line names the file as it was given, quoted for Python or for a shell, and a folder that does not exist yet. Nothing
of a file is loaded: a Keras file can hold code, and a pickle is code.
"""

from __future__ import annotations

import json
import shlex
from itertools import chain, count
from pathlib import Path

from surgery.formats.frozen_graph import FrozenGraph, read_frozen
from surgery.sources.files import SAVED_MODEL

METADATA_BYTES = 2**20
"""The most bytes of a Keras file's own description that are read."""


def folder_for(path: Path) -> Path:
    """A name for the folder that a model of a file is written to: one beside it that does not exist."""
    stem = path.with_name(path.name.removesuffix("".join(path.suffixes[-2:])) or path.stem)
    further = (stem.with_name(f"{stem.name}_{number}") for number in count(2))
    return next(name for name in chain([stem], further) if not name.exists())


def _shell(path: Path) -> str:
    return shlex.quote(str(path))


def _then(path: Path, command: str = "inspect") -> str:
    return f"then, in a shell: surgery {command} {_shell(path)}"


def _keras_lead(library: str, path: Path, extra: str = "") -> str:
    folder = folder_for(path)
    return (
        f"write it as a SavedModel, in Python, and give that folder:\n"
        f"    import {library}\n"
        f"    {library}.models.load_model({str(path)!r}{extra}).export({str(folder)!r})\n{_then(folder)}"
    )


def keras(path: Path) -> str:
    """The lines for a `.keras` file, in the Keras that wrote it: Keras 2 lives on as tf_keras."""
    import zipfile

    with zipfile.ZipFile(path) as packed, packed.open("metadata.json") as file:
        version = str(json.loads(file.read(METADATA_BYTES)).get("keras_version", ""))
    with zipfile.ZipFile(path) as packed, packed.open("config.json") as file:
        hub = b'"KerasLayer"' in file.read(METADATA_BYTES)
    if not hub:
        return _keras_lead("tf_keras" if version.startswith("2.") else "keras", path)
    extra = ", custom_objects={'KerasLayer': tensorflow_hub.KerasLayer}"
    return _keras_lead("tf_keras", path, extra).replace("import tf_keras", "import tensorflow_hub, tf_keras", 1)


def hdf5(path: Path) -> str:
    if _has(path, b"model_config"):
        return _keras_lead("keras", path) + (
            "\nif Keras 2 wrote it (tf.keras up to TensorFlow 2.15), write tf_keras in place of keras; for a "
            "hub.KerasLayer in it,\nadd custom_objects={'KerasLayer': tensorflow_hub.KerasLayer} to load_model"
        )
    folder = folder_for(path)
    return (
        "weights alone are no model: build it with the code that it was trained with, then, in Python:\n"
        f"    model.load_weights({str(path)!r})\n"
        f"    model.export({str(folder)!r})\n{_then(folder)}"
    )


def frozen_graph(path: Path) -> str:
    """The lines that write a frozen graph as a SavedModel, with its own inputs and outputs."""
    found = read_frozen(path)
    if found is None:
        return "give the folder of the SavedModel from which it was made"
    if found.variables:
        return (
            f"its variables have no values in this file ({found.variables} of them): give the checkpoint that has "
            "them (PREFIX.index), or the SavedModel"
        )
    folder = folder_for(path)
    return "write it as a SavedModel, in Python, and list its tensors:\n" + _as_saved_model(path, folder, found)


def _as_saved_model(path: Path, folder: Path, found: FrozenGraph) -> str:
    tensors = [
        "{" + ", ".join(f"{name!r}: g.get_tensor_by_name({f'{name}:0'!r})" for name in names) + "}"
        for names in (found.inputs, found.outputs)
    ]
    return (
        "    import pathlib, tensorflow as tf\n"
        f"    graph = tf.compat.v1.GraphDef.FromString(pathlib.Path({str(path)!r}).read_bytes())\n"
        "    with tf.Graph().as_default() as g, tf.compat.v1.Session() as session:\n"
        "        tf.import_graph_def(graph, name='')\n"
        f"        tf.compat.v1.saved_model.simple_save(session, {str(folder)!r}, {tensors[0]}, {tensors[1]})\n"
        f"{_then(folder, 'graph')}\n"
        "convert needs a module with variables: in a frozen graph they are constants, and have lost their names"
    )


def saved_model(path: Path) -> str:
    if path.name == SAVED_MODEL:
        return f"a module is the folder, with its variables: {_shell(path.parent)}"
    return (
        f"a module is a folder with {SAVED_MODEL} and variables/. Where variables/ lies beside the file, rename it:\n"
        f"    mv {_shell(path)} {_shell(path.with_name(SAVED_MODEL))}\n"
        f"    surgery inspect {_shell(path.parent)}"
    )


def safetensors(path: Path) -> str:
    if not path.with_name("config.json").is_file():
        return (
            "the weights do not show their head count, activation or epsilon: put the model's config.json (and "
            f"vocab.txt) beside them\nas model.safetensors, and give the folder: {_shell(path.parent)}"
        )
    if path.name == "model.safetensors":
        return f"give the folder, with its config.json: {_shell(path.parent)}"
    return (
        "a module is a folder with config.json and model.safetensors:\n"
        f"    mv {_shell(path)} {_shell(path.with_name('model.safetensors'))}\n"
        f"    surgery inspect {_shell(path.parent)}"
    )


def pickle(path: Path) -> str:
    folder = folder_for(path)
    if path.with_name("config.json").is_file():
        source = str(path.parent)
        return (
            "opening a pickle runs the code in it. Where you trust it, write it as safetensors, with transformers and "
            "PyTorch:\n    import transformers\n"
            f"    transformers.AutoModel.from_pretrained({source!r}).save_pretrained({str(folder)!r}, "
            f"safe_serialization=True)\n{_then(folder)}"
        )
    return "opening a pickle runs the code in it: get model.safetensors and config.json of the same model"


def half_checkpoint(path: Path) -> str:
    prefix = path.name.partition(".data-")[0].removesuffix(".meta")
    return (
        f"a checkpoint is read from all of its files. Put {prefix}.index beside it, and the model's bert_config.json, "
        f"and give the folder: {_shell(path.parent)}"
    )


def archive(path: Path) -> str:
    ending = ".zip" if packed_names(path) else ".tar.gz"
    renamed = path.with_name(path.name + ending)
    return f"give it the name of one:\n    mv {_shell(path)} {_shell(renamed)}\n    surgery inspect {_shell(renamed)}"


def pointer(path: Path) -> str:
    return f"fetch the file itself, in its repository:\n    git lfs pull --include {_shell(Path(path.name))}"


def lite(path: Path) -> str:
    return (
        "it cannot be turned back: its weights are constants, often quantized, and its variables are gone. Give the "
        "SavedModel\nfrom which it was made; a page of Kaggle has it under the framework tensorFlow2"
    )


def no_way_back(path: Path) -> str:
    return "it cannot be turned back: give the SavedModel or the checkpoint from which it was made"


def by_folder(path: Path) -> str:
    return f"give the folder of the module: {_shell(path.parent)}"


def _has(path: Path, word: bytes) -> bool:
    import mmap

    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(word) >= 0


def packed_names(path: Path) -> set[str]:
    """The names in a zip file; none for a file that is no zip."""
    import zipfile  # 10 ms, which only a zip file costs

    try:
        with zipfile.ZipFile(path) as packed:
            return set(packed.namelist())
    except (zipfile.BadZipFile, NotImplementedError):
        return set()
