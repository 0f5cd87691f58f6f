"""Opens an export to be served, together with the versions beside it that have labels."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from surgery.module import InspectedModule
from surgery.sources import inspect_folder
from surgery.sources.files import SAVED_MODEL, Files
from surgery.sources.single_files import no_export
from surgery.tfserving.offered import offered_signatures
from surgery.tfserving.served import Served, describe_served
from surgery.tfserving.versions import differences, labelled


def open_served(
    folder: Path,
    names: Sequence[str] = (),
    *,
    batch: int = 1,
    length: int | None = None,
    labels: Mapping[str, int] | None = None,
) -> Served:
    """Inspects a SavedModel without TensorFlow, see `describe_served`; `labels` name versions beside it, or its own.

    Raises ModuleError for a folder without one, and UsageError for a label of a version that is not there.
    """
    folder = Path(os.path.abspath(folder))
    if not (folder / SAVED_MODEL).is_file():
        raise no_export(folder)
    served = describe_served(_inspected(folder), names, batch=batch, length=length)
    found = labelled(served.versions, labels or {}, served.base_path)
    others = sorted(set(found.values()) - {served.version})
    described = [signature.signature for signature in served.signatures]
    notes = [
        line
        for number in others
        for line in differences(described, offered_signatures(_inspected(served.base_path / str(number))), number)
    ]
    return replace(served, versions=replace(served.versions, labels=found), notes=tuple(notes))


def _inspected(folder: Path) -> InspectedModule:
    return inspect_folder(Files(folder=folder, name=folder.name))
