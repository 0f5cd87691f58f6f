"""Single files that are no module: what they are, told by their first bytes or their name, and what gets further.

People hand over a Keras file, a frozen graph, or one file of a folder. Each form is a row of FORMS, and
`surgery.sources.leads` has the lines to type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from surgery.errors import ModuleError
from surgery.formats.frozen_graph import is_graph, is_saved_model
from surgery.sources import leads
from surgery.sources.archives import DAMAGE
from surgery.sources.files import ARCHIVES, SAVED_MODEL
from surgery.wording import did_you_mean

HEAD = 512
"""The bytes of a file's beginning that are looked at."""


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
    """What a file is; None for a file of no known form, and for one that cannot be read or is damaged."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
        for form in FORMS:
            if form.known(path, head):
                return Known(what=form.what, lead=form.leads(path))
    except DAMAGE:  # a zip file of strangers
        pass
    return None


def known_files(folder: Path) -> Iterator[tuple[Path, Known]]:
    """The files of a folder, by name, that are models of another form."""
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix in MODELS and (known := known_file(path)) is not None:
            yield path, known


def no_export(path: Path) -> ModuleError:
    """The error for a path that was given for an export, and has no `saved_model.pb`."""
    if not path.exists():
        return ModuleError(
            f"opening the export {path}: expected a {SAVED_MODEL} in this folder, and there is no such folder",
            hint="give the folder of an export",
        )
    if path.is_file():
        known = known_file(path)
        what = known.what if known else "a file"
        return ModuleError(
            f"opening the export {path}: it is {what}, expected a folder with {SAVED_MODEL}",
            hint=known.lead if known else "give the folder of an export; one that lies in an archive must be unpacked",
        )
    below = sorted(found.parent for found in path.glob(f"*/{SAVED_MODEL}"))
    return ModuleError(
        f"opening the export {path}: expected a {SAVED_MODEL} in this folder, found none",
        hint=did_you_mean(below[:3]) or "give the folder of an export",
    )


def _is_keras(path: Path, head: bytes) -> bool:
    return head.startswith(b"PK") and {"config.json", "metadata.json"} <= leads.packed_names(path)


def _is_torch(path: Path, head: bytes) -> bool:
    if head.startswith(b"PK"):
        return any(name.endswith("data.pkl") for name in leads.packed_names(path))
    return head.startswith(b"\x80") and path.suffix in (".bin", ".pt", ".pth", ".ckpt", ".pkl")


HDF5 = b"\x89HDF\r\n\x1a\n"
FORMS = (
    Form(
        what="a pointer of Git LFS, and not the file",
        known=lambda path, head: head.startswith(b"version https://git-lfs"),
        leads=leads.pointer,
    ),
    Form(what="a Keras model (.keras)", known=_is_keras, leads=leads.keras),
    Form(
        what="a file of HDF5, in which Keras keeps models and weights (.h5)",
        known=lambda path, head: head.startswith(HDF5),
        leads=leads.hdf5,
    ),
    Form(
        what="a LiteRT model (.tflite, TensorFlow Lite)",
        known=lambda path, head: head[4:8] == b"TFL3",
        leads=leads.lite,
    ),
    Form(
        what="the weights of PyTorch, in a pickle",
        known=_is_torch,
        leads=leads.pickle,
    ),
    Form(
        what="weights alone (.safetensors)",
        known=lambda path, head: path.suffix == ".safetensors" or head[8:10] == b'{"',
        leads=leads.safetensors,
    ),
    Form(
        what="the graph of a SavedModel, without its variables",
        known=lambda path, head: is_saved_model(head),
        leads=leads.saved_model,
    ),
    Form(
        what="a graph alone (GraphDef)",
        known=lambda path, head: is_graph(head),
        leads=leads.frozen_graph,
    ),
    Form(
        what="one file of a TF1 checkpoint, whose index is missing",
        known=lambda path, head: ".data-" in path.suffix or path.suffix == ".meta",
        leads=leads.half_checkpoint,
    ),
    Form(
        what="an archive under another name",
        known=lambda path, head: head.startswith((b"PK\x03\x04", b"\x1f\x8b")) and not path.name.endswith(ARCHIVES),
        leads=leads.archive,
    ),
    Form(what="an ONNX model", known=lambda path, head: path.suffix == ".onnx", leads=leads.no_way_back),
    Form(what="the weights of Flax", known=lambda path, head: path.suffix == ".msgpack", leads=leads.no_way_back),
    Form(
        what="a page of the web (HTML), and no module",
        known=lambda path, head: head.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html")),
        leads=lambda path: "the address leads to a page: fetch the archive to which the page links",
    ),
    Form(
        what="one file of a Hugging Face checkpoint",
        known=lambda path, head: path.name == "config.json" and path.with_name("model.safetensors").is_file(),
        leads=leads.by_folder,
    ),
)
"""The forms, of which the first that fits a file is meant."""
MODELS = (".keras", ".h5", ".hdf5", ".tflite", ".pb", ".onnx", ".bin", ".pt", ".pth", ".zip")
"""Endings of what may be a model in a folder that is none."""
