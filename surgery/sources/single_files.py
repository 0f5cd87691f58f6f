"""Single files that are no module: what they are, told by their first bytes or their name, and what gets further.

People hand over a Keras file, a frozen graph, or one file of a folder. Each form is a row of FORMS, whose `leads` gives
the lines to type. A line names the file as it was given, quoted for Python or for a shell. Nothing of a file is loaded:
a Keras file can hold code, and a pickle is code.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from surgery.formats.frozen_graph import FrozenGraph, is_graph, is_saved_model, read_frozen
from surgery.sources.files import ARCHIVES, SAVED_MODEL

HEAD = 512
"""The bytes of a file's beginning that are looked at."""
METADATA_BYTES = 2**20
"""The most bytes of a Keras file's own description that are read."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """What a file is.

    Attributes:
        what: Its form, in the words of an error: "a Keras model (.keras)".
        lead: What gets further, as the hint of an error.
    """

    what: str
    lead: str


@dataclass(frozen=True, kw_only=True)
class Form:
    """A form of files.

    Attributes:
        what: Its name, in the words of an error.
        known: Whether a file has this form, from its path and its first bytes.
        leads: What gets further with a file of this form.
    """

    what: str
    known: Callable[[Path, bytes], bool]
    leads: Callable[[Path], str]


def known_file(path: Path) -> Known | None:
    """What a file is; None for a file of no known form, and for one that cannot be read."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
        for form in FORMS:
            if form.known(path, head):
                return Known(what=form.what, lead=form.leads(path))
    except (OSError, ValueError):
        pass
    return None


def known_files(folder: Path) -> Iterator[tuple[Path, Known]]:
    """The files of a folder, by name, that are models of another form."""
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix in MODELS and (known := known_file(path)) is not None:
            yield path, known


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


def _keras(path: Path) -> str:
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


def _hdf5(path: Path) -> str:
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


def _frozen(path: Path) -> str:
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


def _saved_model(path: Path) -> str:
    if path.name == SAVED_MODEL:
        return f"a module is the folder, with its variables: {_shell(path.parent)}"
    return (
        f"a module is a folder with {SAVED_MODEL} and variables/. Where variables/ lies beside the file, rename it:\n"
        f"    mv {_shell(path)} {_shell(path.with_name(SAVED_MODEL))}\n"
        f"    surgery inspect {_shell(path.parent)}"
    )


def _safetensors(path: Path) -> str:
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


def _pickle(path: Path) -> str:
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


def _half_checkpoint(path: Path) -> str:
    prefix = path.name.partition(".data-")[0].removesuffix(".meta")
    return (
        f"a checkpoint is read from all of its files. Put {prefix}.index beside it, and the model's bert_config.json, "
        f"and give the folder: {_shell(path.parent)}"
    )


def _archive(path: Path) -> str:
    ending = ".zip" if _packed(path) else ".tar.gz"
    renamed = path.with_name(path.name + ending)
    return f"give it the name of one:\n    mv {_shell(path)} {_shell(renamed)}\n    surgery inspect {_shell(renamed)}"


def _pointer(path: Path) -> str:
    return f"fetch the file itself, in its repository:\n    git lfs pull --include {_shell(Path(path.name))}"


def _is_keras(path: Path, head: bytes) -> bool:
    return head.startswith(b"PK") and {"config.json", "metadata.json"} <= _packed(path)


def _is_torch(path: Path, head: bytes) -> bool:
    if head.startswith(b"PK"):
        return any(name.endswith("data.pkl") for name in _packed(path))
    return head.startswith(b"\x80") and path.suffix in (".bin", ".pt", ".pth", ".ckpt", ".pkl")


def _packed(path: Path) -> set[str]:
    """The names in a zip file; none for a file that is no zip."""
    import zipfile  # 10 ms, which only a zip file costs

    try:
        with zipfile.ZipFile(path) as packed:
            return set(packed.namelist())
    except (zipfile.BadZipFile, NotImplementedError):
        return set()


def _has(path: Path, word: bytes) -> bool:
    import mmap

    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(word) >= 0


def _lite(path: Path) -> str:
    return (
        "it cannot be turned back: its weights are constants, often quantized, and its variables are gone. Give the "
        "SavedModel\nfrom which it was made; a page of Kaggle has it under the framework tensorFlow2"
    )


def _no_way_back(path: Path) -> str:
    return "it cannot be turned back: give the SavedModel or the checkpoint from which it was made"


def _by_folder(path: Path) -> str:
    return f"give the folder of the module: {_shell(path.parent)}"


HDF5 = b"\x89HDF\r\n\x1a\n"
FORMS = (
    Form(
        what="a pointer of Git LFS, and not the file",
        known=lambda path, head: head.startswith(b"version https://git-lfs"),
        leads=_pointer,
    ),
    Form(what="a Keras model (.keras)", known=_is_keras, leads=_keras),
    Form(
        what="a file of HDF5, in which Keras keeps models and weights (.h5)",
        known=lambda path, head: head.startswith(HDF5),
        leads=_hdf5,
    ),
    Form(
        what="a LiteRT model (.tflite, TensorFlow Lite)",
        known=lambda path, head: head[4:8] == b"TFL3",
        leads=_lite,
    ),
    Form(
        what="the weights of PyTorch, in a pickle",
        known=_is_torch,
        leads=_pickle,
    ),
    Form(
        what="weights alone (.safetensors)",
        known=lambda path, head: path.suffix == ".safetensors" or head[8:10] == b'{"',
        leads=_safetensors,
    ),
    Form(
        what="the graph of a SavedModel, without its variables",
        known=lambda path, head: is_saved_model(head),
        leads=_saved_model,
    ),
    Form(
        what="a graph alone (GraphDef)",
        known=lambda path, head: is_graph(head),
        leads=_frozen,
    ),
    Form(
        what="one file of a TF1 checkpoint, whose index is missing",
        known=lambda path, head: ".data-" in path.suffix or path.suffix == ".meta",
        leads=_half_checkpoint,
    ),
    Form(
        what="an archive under another name",
        known=lambda path, head: head.startswith((b"PK\x03\x04", b"\x1f\x8b")) and not path.name.endswith(ARCHIVES),
        leads=_archive,
    ),
    Form(what="an ONNX model", known=lambda path, head: path.suffix == ".onnx", leads=_no_way_back),
    Form(what="the weights of Flax", known=lambda path, head: path.suffix == ".msgpack", leads=_no_way_back),
    Form(
        what="a page of the web (HTML), and no module",
        known=lambda path, head: head.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html")),
        leads=lambda path: "the address leads to a page: fetch the archive to which the page links",
    ),
    Form(
        what="one file of a Hugging Face checkpoint",
        known=lambda path, head: path.name == "config.json" and path.with_name("model.safetensors").is_file(),
        leads=_by_folder,
    ),
)
"""The forms, of which the first that fits a file is meant."""
MODELS = (".keras", ".h5", ".hdf5", ".tflite", ".pb", ".onnx", ".bin", ".pt", ".pth", ".zip")
"""Endings of what may be a model in a folder that is none."""
