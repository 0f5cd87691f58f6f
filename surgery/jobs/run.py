"""Running a signature of any SavedModel once: open, choose, check the inputs, pass the gate, run, write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from surgery.arguments import argument
from surgery.errors import UsageError
from surgery.export.publish import check_apart, publish_file, staging
from surgery.graph_taps.given_inputs import Values, bind, parts_of
from surgery.graph_taps.listing import choose_signature
from surgery.module import InspectedModule, TensorInfo
from surgery.progress import Progress, silent
from surgery.results import Result
from surgery.scanning.gate import clear
from surgery.sources import tf1, tf2, well_formed
from surgery.sources.files import Files
from surgery.sources.location import locate
from surgery.sources.output_names import name_outputs


@dataclass(frozen=True, kw_only=True, repr=False)
class SignatureRun(Result, report="running"):
    """What a signature has returned.

    Attributes:
        name: The name of the SavedModel.
        signature: The signature.
        outputs: Array by output. A ragged or sparse output stands in parts, such as `r.values` and `r.row_splits`.
        casts: The changes of dtype that the inputs needed, one line each.
        destination: The file that was written; None for none.
    """

    name: str
    signature: str
    outputs: Mapping[str, np.ndarray]
    casts: tuple[str, ...]
    destination: Path | None

    def __getitem__(self, output: str) -> np.ndarray:
        """The array of an output. Raises KeyError for one that the signature does not have."""
        return self.outputs[output]


def run_signature(
    module: str,
    inputs: Values,
    *,
    signature: str | None = None,
    outputs: Sequence[str] | None = None,
    destination: Path | None = None,
    trust: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
) -> SignatureRun:
    """Runs a signature on one batch. Raises a SurgeryError that names the cause; no file is left half-written."""
    if destination is not None:
        _check_destination(destination, overwrite=overwrite)
    with locate(module, with_weights=True) as files:
        check_apart([destination], [module, files.folder])
        tags, chosen = choose_signature(files, signature)
        wanted = _wanted(chosen.outputs, outputs, chosen.name)
        given = bind(chosen, inputs, parts_of(name_outputs(_inspect(files)), chosen.name), "inputs")
        permission = clear(files, trust=trust)
        progress("start TensorFlow", 0, 0)
        from surgery.tf.memory import importing

        with importing():
            from surgery.tf.plain_run import run_once

        progress("run the signature", 0, 0)
        found = run_once(permission, tags, chosen, given.batch.arrays, wanted)
    if destination is not None:
        _write(found, destination)
    return SignatureRun(
        name=files.name, signature=chosen.name, outputs=found, casts=given.casts, destination=destination
    )


def _inspect(files: Files) -> InspectedModule:
    with well_formed(files.name):
        return tf2.inspect(files) if tf2.accepts(files) else tf1.inspect(files)


def _wanted(known: Sequence[TensorInfo], asked: Sequence[str] | None, signature: str) -> tuple[TensorInfo, ...]:
    by_key = {tensor.key: tensor for tensor in known}
    if unknown := [key for key in asked or () if key not in by_key]:
        raise UsageError(
            f"{argument('outputs', ','.join(unknown))}: the signature {signature} has no such output",
            hint="it has " + ", ".join(by_key),
        )
    return tuple(known if asked is None else (by_key[key] for key in asked))


def _check_destination(destination: Path, *, overwrite: bool) -> None:
    if destination.suffix != ".npz":
        raise UsageError(f"writing to {destination}: expected the name of an .npz file")
    if destination.is_dir() or (destination.exists() and not overwrite):
        raise UsageError(
            f"writing to {destination}: it exists already",
            hint=f"choose another file, or give {argument('overwrite', True)}",
        )


def _write(outputs: Mapping[str, np.ndarray], destination: Path) -> None:
    stored: dict[str, Any] = {key: _storable(key, array) for key, array in outputs.items()}
    with staging(destination) as folder:
        with (folder / destination.name).open("wb") as file:
            np.savez(file, **stored)
        publish_file(folder / destination.name, destination)


def _storable(key: str, array: np.ndarray) -> np.ndarray:
    """An array as a file can hold it without a pickle. bfloat16 becomes float32, which has all its values."""
    if array.dtype == object:
        flat = [bytes(item) for item in array.ravel()]
        if any(item.endswith(b"\0") for item in flat):
            raise UsageError(
                f"writing the output {key}: one of its strings ends with a zero byte, which a file of arrays loses",
                hint="print it as JSON instead, or leave it out",
            )
        return np.array(flat, "S").reshape(array.shape) if flat else np.zeros(array.shape, "S1")
    return array if array.dtype.kind in "biufc" else array.astype("float32")
