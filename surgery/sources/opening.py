"""The one door to a module: locate its files, inspect the folder, name its outputs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from surgery.module import InspectedModule
from surgery.sources import inspect_folder, well_formed
from surgery.sources.location import locate
from surgery.sources.output_names import name_outputs


@contextmanager
def open_module(module: str, *, with_weights: bool) -> Iterator[InspectedModule]:
    """The inspected module behind a folder, archive or handle; its files are there until the block ends."""
    with locate(module, with_weights=with_weights) as files:
        with well_formed(files.name):
            found = name_outputs(inspect_folder(files))
        yield found
