"""What a folder is: the first source that accepts it inspects it. A new format is one file and one word here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from surgery.errors import ModuleError
from surgery.module import InspectedModule
from surgery.sources import tf1, tf2

SOURCES = (tf2, tf1)


def inspect_folder(folder: Path, name: str, *, missing_data: frozenset[str] = frozenset()) -> InspectedModule:
    """Reads a module folder without TensorFlow.

    `missing_data` names files of the module that were left in an archive because only the graph was asked for.
    Raises ModuleError when the folder is no module or a damaged one.
    """
    if not folder.exists():
        raise ModuleError(
            f"opening {folder}: there is no such folder or file",
            hint="give the folder that holds saved_model.pb, a .tar.gz of it, or a Hub handle (a URL)",
        )
    if not (folder / "saved_model.pb").is_file():
        found = sorted(entry.name for entry in folder.iterdir())[:6] if folder.is_dir() else []
        raise ModuleError(
            f"opening {folder}: expected a saved_model.pb, found {', '.join(found) or 'an empty folder'}",
            hint=_nearer(folder) or "give the folder that holds saved_model.pb",
        )
    from surgery.formats import saved_model_pb

    saved_model = saved_model_pb.read(folder / "saved_model.pb")
    with well_formed(str(folder)):
        for source in SOURCES:
            if source.accepts(saved_model):
                inspected: InspectedModule = source.inspect(saved_model, folder, name, missing_data)
                return inspected
    raise ModuleError(f"opening {folder}: the SavedModel holds no graph that surgery knows how to read")


@contextmanager
def well_formed(what: str) -> Iterator[None]:
    """Turns what a message with broken references raises, wherever it is followed, into a ModuleError.

    A message that parses may still point at nodes, functions, assets or types that do not exist.
    """
    try:
        yield
    except (LookupError, ValueError, TypeError, AttributeError, AssertionError) as error:
        raise ModuleError(
            f"reading {what}: its parts do not fit together ({type(error).__name__}: {error})",
            hint="saved_model.pb is damaged: fetch the module again",
        ) from error


def _nearer(folder: Path) -> str | None:
    """A hint when the module lies one or two levels below the folder that was given."""
    if not folder.is_dir():
        return None
    below = sorted([*folder.glob("*/saved_model.pb"), *folder.glob("*/*/saved_model.pb")])[:3]
    return "did you mean " + " or ".join(str(found.parent) for found in below) + "?" if below else None
