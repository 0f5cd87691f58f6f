"""Formats of modules: the first source that accepts a folder inspects it.

A new format is one file here, and one word in `SOURCES`.

opening                                           the one door: a module from the argument of a command
location · handles · fetching · archives          from what people type to a folder
files · single_files · leads                      the files in it; what to do with one that is no module
tf2 · tf1 · transformers_saved_model · hub_layer  formats: SavedModels
tf1_checkpoint · hugging_face                     formats: checkpoints
common · structures · checkpoint_tensors          what formats share: signatures, structured values, values of variables
output_names · wrappers · around                  which result of the call a signature's key is, and what lies around it
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from google.protobuf import message

from surgery.boundary import as_surgery_error
from surgery.errors import LimitError, ModuleError
from surgery.module import InspectedModule
from surgery.sources import hub_layer, hugging_face, tf1, tf1_checkpoint, tf2, transformers_saved_model
from surgery.sources.files import ARCHIVES, Files
from surgery.wording import did_you_mean

DAMAGE = (
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    struct.error,
    message.DecodeError,
)
"""Errors to which files lead whose parts do not fit together."""
SOURCES = (hub_layer, transformers_saved_model, tf2, tf1, tf1_checkpoint, hugging_face)
EXPECTED = "a " + ", or a ".join(dict.fromkeys(source.EXPECTED for source in SOURCES))


def inspect_folder(files: Files) -> InspectedModule:
    """Reads a module's folder without TensorFlow.

    Raises ModuleError when there is no such folder, no source accepts it, or its files are damaged.
    """
    if not files.folder.exists():
        raise ModuleError(
            f"opening {files.folder}: there is no such folder or file",
            hint="give the folder that holds the module, its archive (.tar.gz, .tgz or .zip), or a Hub handle (a URL)",
        )
    with well_formed(str(files.folder)):
        for source in SOURCES:
            if source.accepts(files):
                inspected: InspectedModule = source.inspect(files)
                return inspected
    names = sorted(entry.name for entry in files.folder.iterdir()) if files.folder.is_dir() else []
    found = [*names[:6], *([f"{len(names) - 6:,} more"] if len(names) > 6 else [])]
    raise ModuleError(
        f"opening {files.folder}: expected {EXPECTED}; found {', '.join(found) or 'an empty folder'}",
        hint=_nearer(files.folder) or "give the folder that holds the module's files",
    )


def inspect_saved_model(files: Files) -> InspectedModule:
    """A SavedModel, inspected as what it is to TensorFlow, also if it holds a module in a hub.KerasLayer."""
    with well_formed(files.name):
        return tf2.inspect(files) if tf2.accepts(files) else tf1.inspect(files)


@contextmanager
def well_formed(name: str) -> Iterator[None]:
    """Turns errors inside the block into a ModuleError that names the module.

    A message that parses may still refer to nodes, functions, assets or types that do not exist, have numbers that no
    file can have, and hold bytes that do not parse. Following such a reference raises one of DAMAGE.
    """
    try:
        yield
    except LimitError as error:
        if name in error.message:
            raise
        raise error.within(f"reading {name}") from error
    except (RecursionError, MemoryError) as error:
        raise as_surgery_error(error, f"reading {name}") from error
    except DAMAGE as error:
        raise ModuleError(
            f"reading {name}: its parts do not fit together ({type(error).__name__}: {error})",
            hint="the module's files are damaged: fetch the module again",
        ) from error


def module_folders(folder: Path, *, depth: int = 2) -> list[Path]:
    """Folders with a module, at most `depth` levels below `folder`, nearest first.

    If one of them is a SavedModel, only SavedModels are listed: the variables of a SavedModel have an index as well,
    which would look like a checkpoint.
    """
    for pattern in dict.fromkeys(source.KNOWN_BY for source in SOURCES):
        found = {path.parent for level in range(depth + 1) for path in folder.glob("*/" * level + pattern)}
        if found:
            return sorted(found, key=lambda path: (len(path.parts), path))
    return []


def _nearer(folder: Path) -> str | None:
    """A hint, if modules lie one or two levels below this folder, or an archive, or a model of another form, in it."""
    if not folder.is_dir():
        return None
    if below := module_folders(folder)[:3] or [path for path in folder.iterdir() if path.name.endswith(ARCHIVES)][:3]:
        return did_you_mean(sorted(below))
    from surgery.sources.single_files import known_files

    return next((f"{path.name} is {known.what}. {known.lead}" for path, known in known_files(folder)), None)
