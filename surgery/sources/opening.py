"""Opens a module: locates its files, inspects the folder, names its outputs. All commands open modules here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from surgery.module import InspectedModule
from surgery.module.variables import no_tensors
from surgery.sources import inspect_folder, well_formed
from surgery.sources.files import Files
from surgery.sources.location import locate
from surgery.sources.output_names import name_outputs

Held = TypeVar("Held", InspectedModule, Files)


@contextmanager
def open_module(module: str, *, with_weights: bool) -> Iterator[InspectedModule]:
    """The inspected module at a path or handle. Its files exist until the block ends.

    `with_weights` says whether the weights will be read; without it, those of an archive stay packed. Raises
    ModuleError when there is no module, or a damaged one.
    """
    with locate(module, with_weights=with_weights) as files:
        with well_formed(files.name):
            inspected = name_outputs(inspect_folder(files))
        yield inspected


def closed(held: Held, module: str) -> Held:
    """A module, or its files, as a result keeps it: in the place of an unpacked folder that is gone stands `module`.

    `module` is the path or handle that the caller gave. A folder that is still there stays.
    """
    if Path(held.folder).exists():
        return held
    if isinstance(held, Files):
        return replace(held, folder=Path(module))
    return replace(held, folder=module, open_tensors=no_tensors, bare_graph=None, cleared=None)
