"""The files of a module, as `sources.location` hands them to a source: all of them lie inside its folder.

A file that is a link to somewhere else, or an asset named `../../etc/passwd`, would be read as a part of the module and
copied into its exports. Links inside the folder are followed, and so is a link to the folder as a whole. Hugging Face's
cache is the one exception: the files of `models--NAME/snapshots/REVISION` are links into `models--NAME/blobs`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from surgery.errors import ModuleError
from surgery.results import Brief

SAVED_MODEL = "saved_model.pb"
ARCHIVES = (".tar.gz", ".tgz", ".zip")
"""The endings of archives in which modules are packed."""
READ_BY_TENSORFLOW = ("variables", "assets", "assets.extra")
"""Folders of a SavedModel that TensorFlow, or a server, reads."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Files(Brief):
    """The files of a module.

    Attributes:
        folder: The folder with the module.
        name: The module's name.
        left_out: Files that stayed in an archive because the weights were not asked for.
        checkpoint: Prefix of the checkpoint that was named, such as "bert_model.ckpt": a folder may hold several. None
            where none was named.
        around: The folder with the tokenizer's files, where the module lies in a folder of its own below it; else None.
    """

    folder: Path
    name: str
    left_out: frozenset[str] = frozenset()
    checkpoint: str | None = None
    around: Path | None = None

    @cached_property
    def saved_model(self) -> Any | None:
        """The parsed `saved_model.pb`; None where there is none.

        Raises ModuleError when it is damaged, or a file of the SavedModel does not lie inside the folder.
        """
        from surgery.formats import saved_model as saved_model_pb

        path = self.folder / SAVED_MODEL
        if not path.is_file():
            return None
        self.glob("*.pb")
        for name in READ_BY_TENSORFLOW:
            self._check_below(self.path(name))
        return saved_model_pb.read(path)

    @cached_property
    def with_objects(self) -> Any | None:
        """The meta graph of `saved_model.pb` that has the object graph; None where none has one."""
        meta_graphs = self.saved_model.meta_graphs if self.saved_model is not None else ()
        return next((meta_graph for meta_graph in meta_graphs if meta_graph.object_graph_def.nodes), None)

    @cached_property
    def object_paths(self) -> dict[int, str]:
        """The path of each object of the object graph, by node id, see `object_graph.paths`; empty without one."""
        from surgery.formats.object_graph import paths

        return {} if self.with_objects is None else paths(self.with_objects.object_graph_def)

    def path(self, name: str) -> Path:
        """The path of a file, given relative to the folder. Raises ModuleError for one that is not inside."""
        return inside(self.folder, name)

    def glob(self, *patterns: str) -> list[Path]:
        """Paths that match any of the patterns, sorted. Raises ModuleError as `path` does."""
        found = sorted(path for pattern in patterns for path in self.folder.glob(pattern))
        return [self.path(path.relative_to(self.folder).as_posix()) for path in found]

    def _check_below(self, folder: Path) -> None:
        """Checks every link below a folder. Links to folders are refused: who follows them could end in a circle."""
        for parent, folders, names in os.walk(folder):
            for path in (Path(parent, name) for name in (*folders, *names)):
                if path.is_symlink():
                    name = os.path.relpath(path, self.folder)
                    self.path(name)
                    if path.is_dir():
                        raise _outside(self.folder, name, "is a link to a folder")


def inside(folder: Path, name: str) -> Path:
    """The path `folder`/`name`, where that lies inside the folder with all links followed, or does not exist.

    Raises ModuleError where it lies anywhere else, except for the links of a snapshot in Hugging Face's cache.
    """
    root = Path(os.path.realpath(folder))
    plain = Path(os.path.normpath(root / name))
    if not plain.is_relative_to(root):
        raise _outside(folder, name, f"is {plain}, outside of the module's folder")
    try:
        target = Path(os.path.realpath(plain, strict=True))
    except FileNotFoundError:
        return folder / name
    except (OSError, ValueError) as error:
        raise _outside(folder, name, f"cannot be followed ({getattr(error, 'strerror', None) or error})") from error
    if not target.is_relative_to(root) and target.parent != _blobs(root):
        raise _outside(folder, name, f"leads to {target}, outside of the module's folder")
    return folder / name


def _blobs(root: Path) -> Path | None:
    """The folder into which the links of a snapshot in Hugging Face's cache lead; None for any other folder."""
    for place in (root, *root.parents):
        model = place.parent.parent
        if place.parent.name == "snapshots" and model.name.startswith("models--"):
            return model / "blobs"
    return None


def _outside(folder: Path, name: str, reason: str) -> ModuleError:
    return ModuleError(
        f"opening {folder}: its file {name[:200]} {reason}",
        hint="the files of a module lie in its folder. If the links are yours, copy the module with what they lead to "
        "(cp -rL)",
    )
