"""Writes a SavedModel whose signature returns more tensors of its own graph, and runs the written SavedModel.

The loaded object is saved, so that its variables, tables, assets and other signatures are saved unchanged. The tapped
signature comes from `surgery.tf.tapped_signature`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from surgery.arguments import argument
from surgery.errors import ModuleError, WriteError
from surgery.feeding.feeds import taken
from surgery.feeding.values import as_array
from surgery.graph_taps.listing import GraphListing
from surgery.graph_taps.made_inputs import MadeBatch
from surgery.graph_taps.selection import GraphTap
from surgery.graphs import resource_variables
from surgery.scanning.gate import Cleared
from surgery.tf.loading import loaded_objects
from surgery.tf.memory import give_back
from surgery.tf.operations import know_operations
from surgery.tf.reasons import reason
from surgery.tf.tapped_signature import pruned, traced_again
from surgery.tf.time_limit import time_limit

FAILURES = (
    tf.errors.OpError,
    RuntimeError,
    ValueError,
    OSError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
)
"""Errors that TensorFlow raises for a SavedModel that it does not understand, or for inputs that a graph refuses."""

Arrays = dict[str, np.ndarray]
Specs = Mapping[str, tf.TensorSpec]


@contextmanager
def opened(listing: GraphListing, cleared: Cleared, taps: Sequence[GraphTap]) -> Iterator[Loaded]:
    """Loads the SavedModel of a listing. Raises ModuleError when TensorFlow cannot load it."""
    know_operations(listing.meta_graph, listing.files.name)
    with _load(listing, cleared, _trainable(listing, taps)) as module:
        loaded = Loaded(listing, cleared, taps, module)
        try:
            yield loaded
        finally:
            loaded.close()


class Loaded:
    """A loaded SavedModel, of which one signature shall return more tensors."""

    def __init__(self, listing: GraphListing, cleared: Cleared, taps: Sequence[GraphTap], loaded: Any) -> None:
        self._listing, self._cleared, self._taps, self._loaded = listing, cleared, taps, loaded

    def close(self) -> None:
        """Frees the module's memory, so that the written SavedModel can be loaded."""
        self._loaded = None
        give_back()

    def write(self, folder: Path, left_out: Collection[str] = ()) -> None:
        """Saves the module into a folder, with the tapped signature in place of the plain one.

        `left_out` are signatures that are not saved. Raises ModuleError when TensorFlow cannot save the module again,
        and WriteError when the files cannot be written.
        """
        signatures = {
            name: function
            for name, function in self._loaded.signatures.items()
            if not name.startswith("__") and name not in left_out
        }
        try:
            signatures[self._listing.signature.name] = self._tapped()
            tf.saved_model.save(self._loaded, str(folder), signatures=signatures)
        except (tf.errors.OpError, OSError) as error:
            raise WriteError(
                f"writing the SavedModel to {folder}: {reason(error)}",
                hint="check free space and permissions of the destination's disk",
            ) from error
        except FAILURES as error:
            raise ModuleError(
                f"saving {self._listing.files.name} again with more outputs: {reason(error)}",
                hint="TensorFlow can load this SavedModel, but not write it",
            ) from error

    def record(
        self, batches: Iterable[MadeBatch], enough: int, *, given: bool = False
    ) -> tuple[list[MadeBatch], list[Arrays]]:
        """Runs the plain signature until it has accepted `enough` batches; returns those, and their outputs by key.

        Raises ModuleError when the signature accepts none of the batches, and for any refused one that was given.
        """
        with self._as_it_was() as (call, specs):
            return self._record(call, specs, batches, enough, given=given)

    def _record(
        self, call: Callable[..., Any], specs: Specs, batches: Iterable[MadeBatch], enough: int, *, given: bool
    ) -> tuple[list[MadeBatch], list[Arrays]]:
        accepted: list[MadeBatch] = []
        recorded: list[Arrays] = []
        failure: BaseException | None = None
        for batch in batches:
            try:
                recorded.append(_run(call, specs, batch, self._listing.files.name))
                accepted.append(batch)
            except FAILURES as error:
                if given:
                    raise ModuleError(
                        f"running the signature {self._listing.signature.name} of {self._listing.files.name} on "
                        f"{batch.label}, which was given: {reason(error)}",
                        hint="the signature refuses these inputs: the message is TensorFlow's own",
                    ) from error
                failure = failure or error
            if len(accepted) == enough:
                break
        if not accepted and failure is not None:
            raise ModuleError(
                f"running the signature {self._listing.signature.name} of {self._listing.files.name}: it could not be "
                f"run on inputs made from the signature, so nothing could be verified: {reason(failure)}",
                hint="the graph wants inputs of a form that its signature does not say: give some with "
                + argument("inputs"),
            )
        return accepted, recorded

    @contextmanager
    def _as_it_was(self) -> Iterator[tuple[Callable[..., Any], Specs]]:
        """The plain signature of the source, and the specs of its inputs.

        The graph of a TensorFlow 1 module was changed for loading. The module is therefore loaded again unchanged, and
        tensors of its graph that the signature does not return are fetched, too.
        """
        listing, name = self._listing, self._listing.signature.name
        if listing.meta_graph.object_graph_def.nodes:
            function = self._loaded.signatures[name]
            yield function, function.structured_input_signature[1]
            return
        outer = [tap for tap in self._taps if len(tap.tensor.spot.address) == 1]
        with _load(listing, self._cleared, listing.meta_graph) as original:
            specs = original.signatures[name].structured_input_signature[1]
            feeds = taken(listing.signature, {})
            yield pruned(original, listing.meta_graph.signature_def[name], feeds, outer), specs

    def _tapped(self) -> Any:
        """The signature as a function of the same inputs that also returns the taps."""
        taps = self._taps
        plain = self._loaded.signatures[self._listing.signature.name]
        meta_graph = self._listing.meta_graph
        if meta_graph.object_graph_def.nodes:
            run = traced_again(plain, taps)
        else:
            signature = self._listing.signature
            feeds = taken(signature, {})
            run = pruned(self._loaded, meta_graph.signature_def[signature.name], feeds, taps)
        return tf.function(run, autograph=False).get_concrete_function(**plain.structured_input_signature[1])


def record_export(written: Cleared, signature: str, batches: Sequence[MadeBatch]) -> list[Arrays]:
    """Outputs of a written SavedModel's signature for each batch, loaded from its files. Raises ModuleError."""
    try:
        with loaded_objects(written) as loaded:
            function = loaded.signatures[signature]
            specs = function.structured_input_signature[1]
            return [_run(function, specs, batch, written.folder) for batch in batches]
    except FAILURES as error:
        raise ModuleError(
            f"running what was written to {written.folder}: {reason(error)}",
            hint="TensorFlow can load and save this SavedModel, but not run the result",
        ) from error


def _run(call: Callable[..., Any], specs: Specs, batch: MadeBatch, doing: str) -> Arrays:
    """A signature's outputs as arrays by key. The parts of a sparse or ragged output are `key/0`, `key/1` and so on."""
    inputs = {key: tf.constant(batch.arrays[key], spec.dtype) for key, spec in specs.items()}
    found: Arrays = {}
    with time_limit(f"running {doing} on a batch of {batch.label}"):
        outputs = call(**inputs)
    for key, value in outputs.items():
        parts = tf.nest.flatten(value, expand_composites=True)
        arrays = [as_array(part.numpy()) for part in parts]
        found.update({f"{key}/{i}" if len(parts) > 1 else key: array for i, array in enumerate(arrays)})
    return found


def _trainable(listing: GraphListing, taps: Sequence[GraphTap]) -> Any:
    """The meta graph to load. That of a TensorFlow 1 module gets variables that can be trained and saved."""
    if listing.meta_graph.object_graph_def.nodes:
        return listing.meta_graph
    meta_graph = type(listing.meta_graph)()
    meta_graph.CopyFrom(listing.meta_graph)
    resource_variables.mark_trainable(meta_graph)
    if resource_variables.has_references(meta_graph):
        try:
            resource_variables.to_resources(meta_graph, [tap.tensor.spot.address[0] for tap in taps])
        except resource_variables.UnsupportedReference as error:
            raise ModuleError(
                f"making resource variables of the reference variables of {listing.files.name}: {error}",
                hint="save the model again with tf.compat.v1.enable_resource_variables()",
            ) from error
    return meta_graph


@contextmanager
def _load(listing: GraphListing, cleared: Cleared, meta_graph: Any) -> Iterator[Any]:
    with ExitStack() as stack:
        try:
            loaded = stack.enter_context(loaded_objects(cleared, meta_graph=meta_graph))
        except FAILURES as error:
            raise ModuleError(
                f"loading {listing.files.name}: {reason(error)}",
                hint="the SavedModel is damaged or needs an operation that this TensorFlow lacks",
            ) from error
        yield loaded
