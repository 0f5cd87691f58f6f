"""Opens a module: locates its files, inspects the folder, names its outputs. All commands open modules here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from surgery.module import InspectedModule
from surgery.sources import inspect_folder, well_formed
from surgery.sources.location import locate
from surgery.sources.output_names import name_outputs


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
