"""An export that a layer keeps: its graph, its assets and its manifest, in a scratch folder of the layer's own.

The layer can therefore be saved after the folder from which it came is gone, and its assets can be written into a
SavedModel around it. The values of the weights are not among the files: the layer has them.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tensorflow as tf

from surgery.errors import ModuleError
from surgery.export.description import Description
from surgery.export.manifest import MANIFEST
from surgery.formats.saved_model import asset_files
from surgery.module import InspectedModule
from surgery.processes.scratch import filling, scratch_folder
from surgery.scanning.gate import cleared
from surgery.sources.files import SAVED_MODEL, inside
from surgery.tf.loading import load_around

FIRST = "variables/0"
"""The path of the first variable in the list that every export has."""


@dataclass(frozen=True, kw_only=True)
class KeptExport:
    """An export whose graph has been loaded around a layer's variables.

    Attributes:
        folder: The scratch folder with its files.
        loaded: The object that TensorFlow has made of it.
        held: Removes the folder when it is closed.
    """

    folder: Path
    loaded: Any
    held: ExitStack

    def write(self, folder: Path) -> None:
        """Writes the files into a folder, which `keep` can read again."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)


def keep(module: InspectedModule, description: Description, variables: Mapping[str, tf.Variable]) -> KeptExport:
    """Copies the files of an export that has passed the gate, and loads its graph around `variables`, by their names.

    Raises ModuleError for a damaged export, and WriteError where the scratch folder cannot be written.
    """
    source = Path(module.folder)
    names = [SAVED_MODEL, str(MANIFEST)]
    names += [
        f"assets/{asset.filename}" for meta_graph in module.saved_model.meta_graphs for asset in asset_files(meta_graph)
    ]
    with ExitStack() as stack:
        folder = stack.enter_context(scratch_folder())
        with filling(folder, f"copying the graph and the assets of {source}"):
            for name in dict.fromkeys(names):
                copy = folder / name
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(inside(source, name), copy)
        first = next((weight.name for weight in description.weights if weight.path == FIRST), None)
        if first is None:
            raise ModuleError(f"opening {source}: it has no list of variables, as exports have")
        loaded = load_around(replace(cleared(module), folder=str(folder)), variables, variables[first])
        shutil.rmtree(folder / "variables")  # the small checkpoint that TensorFlow demands
        return KeptExport(folder=folder, loaded=loaded, held=stack.pop_all())
