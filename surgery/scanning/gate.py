"""The gate: the one way to a module that is run.

`Cleared` is what the functions of surgery.tf take that hand a SavedModel to TensorFlow, and only this file makes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from surgery.arguments import argument
from surgery.errors import UntrustedError
from surgery.module import InspectedModule
from surgery.scanning.findings import Scan
from surgery.scanning.scan import scan_files, scan_saved_model
from surgery.sources import well_formed
from surgery.sources.files import Files
from surgery.sources.opening import open_module

SHOWN = 6
"""Findings that the error shows."""


@dataclass(frozen=True, kw_only=True)
class Cleared:
    """A SavedModel that may be run: it is clean, or the user trusts it.

    Attributes:
        folder: Its folder, or its address in a remote file system.
        saved_model: The parsed `saved_model.pb`; None for a checkpoint, which has no graph to run.
    """

    folder: str
    saved_model: Any


def clear(files: Files, *, trust: bool) -> Cleared:
    """Lets the files of a module through.

    Raises UntrustedError for a module that is not clean, unless `trust` says to run it all the same.
    """
    if not trust:
        _refuse_unclean(scan_files(files))
    return Cleared(folder=str(files.folder), saved_model=files.saved_model)


def clear_folder(folder: Path, *, trust: bool = False) -> Cleared:
    """Lets a module's folder through. Raises as `clear` does."""
    return clear(Files(folder=folder, name=folder.name), trust=trust)


def clear_remote(address: str, saved_model: Any, *, trust: bool) -> Cleared:
    """Lets a SavedModel in a remote file system through. Raises as `clear` does."""
    if not trust:
        with well_formed(address):
            _refuse_unclean(scan_saved_model(saved_model, None, address, "SavedModel"))
    return Cleared(folder=address, saved_model=saved_model)


def let_through(module: InspectedModule, *, trust: bool) -> InspectedModule:
    """The module with the word that its graphs may be run. Raises as `clear` does."""
    if module.saved_model is not None and not trust:
        with well_formed(module.name):
            _refuse_unclean(scan_saved_model(module.saved_model, Path(module.folder), module.name, module.format))
    return replace(module, cleared=Cleared(folder=module.folder, saved_model=module.saved_model))


@contextmanager
def open_to_run(module: str, *, trust: bool) -> Iterator[InspectedModule]:
    """Opens a module whose graphs will be run (see surgery.sources.opening). Raises as `clear` does."""
    with open_module(module, with_weights=True) as source:
        yield let_through(source, trust=trust)


def cleared(module: InspectedModule) -> Cleared:
    """The word of the gate. Raises LookupError for a module that has not passed it, which is an error of surgery's."""
    if not isinstance(module.cleared, Cleared):
        raise LookupError(f"{module.name} has not passed the gate")
    return module.cleared


def _refuse_unclean(scan: Scan) -> None:
    if scan.clean:
        return
    shown = [f"\n  {finding}" for finding in scan.findings[:SHOWN]]
    rest = f"\n  … and {len(scan.findings) - SHOWN} more" if len(scan.findings) > SHOWN else ""
    raise UntrustedError(
        f"opening {scan.name}: it could do more than compute, so nothing of it was run{''.join(shown)}{rest}",
        hint=f"surgery scan shows all; {argument('trust', True)} runs it all the same, if you trust who made it",
    )
