"""Running a signature of any SavedModel once: open, choose, check the inputs, load, run."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from surgery.arguments import argument
from surgery.errors import ModuleError, UsageError, WriteError
from surgery.export.publish import check_apart, check_parents, publish_file, staging
from surgery.feeding.feeds import Feed, names_of_parts, returned, taken
from surgery.feeding.given import Fed, Given, fit
from surgery.feeding.values import as_array
from surgery.formats.npz import write_npz
from surgery.graph_taps.listing import choose_signature
from surgery.progress import Progress, silent
from surgery.results import Result
from surgery.scanning.gate import clear
from surgery.sources import inspect_saved_model, well_formed
from surgery.sources.location import locate
from surgery.wording import did_you_mean


@dataclass(frozen=True, kw_only=True, repr=False)
class Ran(Result, report="run"):
    """What a signature has returned.

    Attributes:
        name: The name of the SavedModel.
        signature: The signature that was run.
        inputs: The arrays that it was given, by key.
        casts: One sentence for each input that was cast to the dtype that the signature takes.
        outputs: The arrays that it returned, by key. Strings are bytes in an array of dtype object. A ragged or sparse
            output is several arrays: `y.values` and `y.row_splits`, or `y.indices`, `y.values` and `y.dense_shape`.
        destination: The file that was written; None for none.
    """

    name: str
    signature: str
    inputs: Mapping[str, np.ndarray]
    casts: tuple[str, ...]
    outputs: Mapping[str, np.ndarray]
    destination: Path | None

    def __getitem__(self, output: str) -> np.ndarray:
        """The array of an output. Raises KeyError for one that was not computed."""
        return self.outputs[output]


def run_signature(
    exported: str,
    inputs: Given,
    *,
    signature: str | None = None,
    outputs: Sequence[str] | None = None,
    destination: Path | None = None,
    trust: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Ran:
    """Runs a signature on given inputs, in a v1 Session, as a server does.

    Raises UsageError for inputs that do not fit the signature, and for outputs that it does not have; ModuleError when
    it cannot be loaded or run, WriteError for a file that cannot be written: it is then as it was before.
    """
    if destination is not None:
        _check_destination(destination, exported, overwrite=overwrite)
    with locate(exported, with_weights=True) as files:
        with well_formed(files.name):
            meta_graph, _, info = choose_signature(files, signature)
            feeds = taken(info, names_of_parts(inspect_saved_model(files), info.name))
        doing = f"giving inputs to the signature {info.name} of {files.name}"
        fed = fit(feeds, inputs, doing)
        by_tensor = _by_tensor(fed, doing)
        wanted = _wanted(returned(info), outputs, f"{files.name}, signature {info.name}")
        permission = clear(files, trust=trust)
        progress("start TensorFlow", 0, 0)
        from surgery.tf.memory import importing

        with importing():
            from surgery.tf.operations import know_operations
            from surgery.tf.session import SavedModelSession

        progress("load the module", 0, 0)
        know_operations(meta_graph, files.name)
        with SavedModelSession(permission, tuple(meta_graph.meta_info_def.tags)) as session:
            progress("run the signature", 0, 0)
            found = session.fetch(
                {feed.key: str(feed.tensor) for feed in wanted},
                by_tensor,
                hint="the graph refuses these inputs: the message above is TensorFlow's own",
            )
    arrays = {key: as_array(value) for key, value in found.items()}
    if destination is not None:
        _write(arrays, destination)
    return Ran(
        name=files.name,
        signature=info.name,
        inputs=fed.arrays,
        casts=fed.casts,
        outputs=arrays,
        destination=destination,
    )


def _check_destination(destination: Path, exported: str, *, overwrite: bool) -> None:
    """Raises UsageError or WriteError for a file that cannot or may not be written."""
    check_parents(destination)
    check_apart([destination], [exported])
    if destination.suffix != ".npz":
        raise UsageError(
            f"writing to {destination}: expected the name of an .npz file", hint=f"write to {destination}.npz"
        )
    if destination.is_dir():
        raise UsageError(f"writing to {destination}: it is a folder", hint="choose another file")
    if destination.exists() and not overwrite:
        raise UsageError(
            f"writing to {destination}: it exists already",
            hint=f"choose another file, or give {argument('overwrite', True)}",
        )


def _write(outputs: Mapping[str, np.ndarray], destination: Path) -> None:
    """Writes arrays to an `.npz` file, in one step. Raises WriteError; the file is then as it was before."""
    with staging(destination) as folder:
        staged = folder / destination.name
        try:
            write_npz(staged, outputs)
        except OSError as error:
            raise WriteError(
                f"writing {destination}: {error.strerror or error}", hint="check free space and permissions"
            ) from error
        publish_file(staged, destination)


def _by_tensor(fed: Fed, doing: str) -> dict[str, np.ndarray]:
    """The values by the tensors of the graph. Raises UsageError where two inputs are one tensor with two values."""
    found: dict[str, np.ndarray] = {}
    keys: dict[str, str] = {}
    for feed in fed.feeds:
        tensor, array = str(feed.tensor), fed.arrays[feed.key]
        first = found.setdefault(tensor, array)
        if first is not array and not _same(first, array):
            raise UsageError(
                f"{doing}: {keys[tensor]} and {feed.key} are one tensor of the graph, {tensor}, and have two values",
                hint="give both the same value",
            )
        keys.setdefault(tensor, feed.key)
    return found


def _same(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two arrays hold the same: texts, or numbers to the bit, so that NaN is NaN."""
    if first.shape != second.shape or first.dtype != second.dtype:
        return False
    return np.array_equal(first, second) if first.dtype.kind == "O" else first.tobytes() == second.tobytes()


def _wanted(feeds: Sequence[Feed], names: Sequence[str] | None, of: str) -> tuple[Feed, ...]:
    """The outputs to compute: all, or those that are named. The name of a ragged or sparse output stands for its parts.

    Raises UsageError for names that the signature does not have, and ModuleError for an output that is no tensor.
    """
    by_name: dict[str, list[Feed]] = {}
    for feed in feeds:
        for name in {feed.key, feed.whole}:
            by_name.setdefault(name, []).append(feed)
    wanted = list(by_name) if names is None else list(names)
    if unknown := [name for name in wanted if name not in by_name]:
        near = difflib.get_close_matches(unknown[0], by_name, n=2)
        raise UsageError(
            f"{argument('outputs', ', '.join(unknown))}: {of} has no such output",
            hint=did_you_mean(near) or "it has " + ", ".join(sorted(by_name)),
        )
    chosen = {feed.key: feed for name in wanted for feed in by_name[name]}
    if not chosen:
        raise UsageError(f"running {of}: it returns nothing", hint=f"choose another with {argument('signature')}")
    if untold := [feed.key for feed in chosen.values() if feed.tensor is None]:
        raise ModuleError(
            f"running {of}: {', '.join(untold)} is neither a tensor nor a ragged or sparse one",
            hint=f"choose others with {argument('outputs')}",
        )
    return tuple(chosen.values())
