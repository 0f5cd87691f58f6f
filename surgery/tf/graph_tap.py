"""Writes a SavedModel whose signature returns more tensors of its own graph, and runs what was written.

A TensorFlow 2 signature is traced again: its graph, calls written out, is imported into a function that captures what
the loaded one captured. A TensorFlow 1 graph is flat already: it is pruned to more fetches. Either way the loaded
object is what is saved, so its variables, tables, assets and other signatures come along as they are.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow.python.framework import op_def_registry

from surgery.errors import ModuleError, WriteError
from surgery.formats import saved_model as saved_model_pb
from surgery.graph_taps.listing import GraphListing
from surgery.graph_taps.made_inputs import MadeBatch
from surgery.graph_taps.selection import GraphTap
from surgery.graphs import resource_variables
from surgery.graphs.calls import tree_of_graph
from surgery.graphs.flatten import Output, flatten, port_at
from surgery.graphs.frames import ENTER, SWITCH
from surgery.sources.files import SAVED_MODEL
from surgery.tf.memory import give_back
from surgery.tf.reasons import reason

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
"""What TensorFlow raises for a SavedModel that it does not understand, or for inputs that do not suit a graph."""

FRAMED = ENTER | SWITCH
"""Operations of TensorFlow 1's control flow."""

Arrays = dict[str, np.ndarray]
Specs = Mapping[str, tf.TensorSpec]


@contextmanager
def opened(listing: GraphListing, taps: Sequence[GraphTap]) -> Iterator[Loaded]:
    """The SavedModel behind a listing, loaded. Raises ModuleError when TensorFlow cannot."""
    _know_operations(listing)
    with _to_be_loaded(listing, taps) as folder:
        loaded = Loaded(listing, taps, _load(listing, folder))
        try:
            yield loaded
        finally:
            loaded.close()


class Loaded:
    """A loaded SavedModel, of which one signature is to return more."""

    def __init__(self, listing: GraphListing, taps: Sequence[GraphTap], loaded: Any) -> None:
        self._listing, self._taps, self._loaded = listing, taps, loaded

    def close(self) -> None:
        """Lets go of the module, so that what was written can be loaded in its place."""
        self._loaded = None
        give_back()

    def write(self, folder: Path, left_out: Collection[str] = ()) -> None:
        """Saves it into a folder, with the tapped signature in the place of the plain one; some may be left out.

        Raises ModuleError when TensorFlow cannot save it again, WriteError when the disk refuses.
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

    def record(self, batches: Iterable[MadeBatch], enough: int) -> tuple[list[MadeBatch], list[Arrays]]:
        """Runs the signature, as it was, until so many batches suited it; returns those, and their outputs by key.

        Raises ModuleError when none did.
        """
        call, specs = self._as_it_was()
        accepted: list[MadeBatch] = []
        recorded: list[Arrays] = []
        failure: BaseException | None = None
        for batch in batches:
            try:
                recorded.append(_run(call, specs, batch))
                accepted.append(batch)
            except FAILURES as error:
                failure = failure or error
            if len(accepted) == enough:
                break
        if not accepted and failure is not None:
            raise ModuleError(
                f"running the signature {self._listing.signature.name} of {self._listing.files.name}: it could not be "
                f"run on inputs made from the signature, so nothing could be verified: {reason(failure)}",
                hint="the graph wants inputs of a form that its signature does not say",
            )
        return accepted, recorded

    def _as_it_was(self) -> tuple[Callable[..., Any], Specs]:
        """The signature of the source, untouched, and what it takes.

        The graph of a TensorFlow 1 module was changed for loading, so it is loaded again as it is; then tensors can be
        fetched from it that its signature does not return.
        """
        listing, name = self._listing, self._listing.signature.name
        if listing.meta_graph.object_graph_def.nodes:
            function = self._loaded.signatures[name]
            return function, function.structured_input_signature[1]
        original = _load(listing, listing.files.folder)
        outer = [tap for tap in self._taps if len(tap.tensor.spot.address) == 1]
        specs = original.signatures[name].structured_input_signature[1]
        return _pruned(original, listing.meta_graph.signature_def[name], outer), specs

    def _tapped(self) -> Any:
        """The signature as a function of the same inputs that returns the taps too."""
        taps = self._taps
        plain = self._loaded.signatures[self._listing.signature.name]
        meta_graph = self._listing.meta_graph
        if meta_graph.object_graph_def.nodes:
            run = _traced_again(plain, taps)
        else:
            run = _pruned(self._loaded, meta_graph.signature_def[self._listing.signature.name], taps)
        return tf.function(run, autograph=False).get_concrete_function(**plain.structured_input_signature[1])


def record_export(folder: Path, signature: str, batches: Sequence[MadeBatch]) -> list[Arrays]:
    """Outputs of a written SavedModel's signature, from its files alone. Raises ModuleError when it does not run."""
    try:
        function = tf.saved_model.load(str(folder)).signatures[signature]
        return [_run(function, function.structured_input_signature[1], batch) for batch in batches]
    except FAILURES as error:
        raise ModuleError(
            f"running what was written to {folder}: {reason(error)}",
            hint="TensorFlow can load and save this SavedModel, but not run the result",
        ) from error


def _run(call: Callable[..., Any], specs: Specs, batch: MadeBatch) -> Arrays:
    """A signature's outputs as arrays by key; the parts of a sparse or ragged one by number."""
    inputs = {key: tf.constant(batch.arrays[key], spec.dtype) for key, spec in specs.items()}
    found: Arrays = {}
    for key, value in call(**inputs).items():
        parts = tf.nest.flatten(value, expand_composites=True)
        found.update({f"{key}/{i}" if len(parts) > 1 else key: part.numpy() for i, part in enumerate(parts)})
    return found


def _traced_again(function: Any, taps: Sequence[GraphTap]) -> Callable[..., dict[str, Any]]:
    """The body of a concrete function that returns a dict, with taps added to it."""
    written_out = _written_out(function, [tap.tensor.spot for tap in taps])

    def run(**inputs: Any) -> dict[str, Any]:
        outputs, tapped = written_out(*tf.nest.flatten(inputs, expand_composites=True))
        return {**outputs, **{tap.output: tensor for tap, tensor in zip(taps, tapped, strict=True)}}

    return run


def _pruned(loaded: Any, signature_def: Any, taps: Sequence[GraphTap]) -> Callable[..., dict[str, Any]]:
    """A TensorFlow 1 graph between a signature's inputs and its outputs and taps.

    What stands in a function that it calls is reached as in TensorFlow 2, from the call.
    """
    infos = {
        key: meta_graph_pb2.TensorInfo.FromString(info.SerializeToString())
        for key, info in signature_def.outputs.items()
    }
    outer = {tap.output: tap.tensor.spot for tap in taps if len(tap.tensor.spot.address) == 1}
    inner = [tap for tap in taps if tap.output not in outer]
    fetches = {
        "outputs": infos,
        "taps": {key: f"{place.address[0]}:{place.index}" for key, place in outer.items()},
        "calls": {tap.output: f"{tap.tensor.spot.address[0]}:0" for tap in inner},
    }
    pruned = loaded.prune([signature_def.inputs[key].name for key in sorted(signature_def.inputs)], fetches)
    written_out = _written_out(pruned, [tap.tensor.spot for tap in inner]) if inner else None

    def run(**inputs: Any) -> dict[str, Any]:
        given = [inputs[key] for key in sorted(inputs)]
        found, tapped = written_out(*given) if written_out else (pruned(*given), [])
        return {
            **found["outputs"],
            **found["taps"],
            **{tap.output: tensor for tap, tensor in zip(inner, tapped, strict=True)},
        }

    return run


def _written_out(function: Any, places: Sequence[Output]) -> Callable[..., tuple[Any, list[Any]]]:
    """A concrete function's graph without calls, to be called where a function is traced.

    Called with the function's arguments it returns the function's result, and the tensors at the places.
    """
    graph_def = function.graph.as_graph_def()
    arguments = [placeholder.op.name for placeholder in function.inputs]
    root = tree_of_graph(graph_def, arguments, [operation.name for operation in function.graph.control_outputs])
    ports = [*(root.owner(tensor.name) for tensor in function.outputs), *(port_at(root, place) for place in places)]
    flat = flatten(root, ports, op_def_registry.get)
    own = len(arguments) - len(function.captured_inputs)

    def import_graph(*given: Any) -> tuple[Any, list[Any]]:
        graph = tf.compat.v1.get_default_graph()
        captured = dict(zip(arguments[own:], function.captured_inputs, strict=True))
        bound = dict(zip(arguments, given, strict=False))
        bound.update({name: graph.capture(tensor) for name, tensor in captured.items() if name in flat.free})
        made = [name for name in flat.tensors if name.partition(":")[0] not in bound]
        imported = tf.graph_util.import_graph_def(
            flat.graph_def,
            input_map={f"{name}:0": bound[name] for name in flat.free},
            return_elements=[*made, *flat.controls],
            name="",
        )
        known = {f"{name}:0": tensor for name, tensor in bound.items()} | dict(zip(made, imported, strict=False))
        with tf.control_dependencies(imported[len(made) :]):
            tensors = [tf.identity(known[name]) for name in flat.tensors]
        count = len(function.outputs)
        result = tf.nest.pack_sequence_as(function.structured_outputs, tensors[:count], expand_composites=True)
        return result, tensors[count:]

    if not any(node.op in FRAMED for node in flat.graph_def.node):
        return import_graph
    # Tracing would order operations as TensorFlow 2 does, which cannot be done between Enter and Exit.
    specs = [tf.TensorSpec.from_tensor(tensor) for tensor in function.inputs[:own]]
    wrapped: Callable[..., tuple[Any, list[Any]]] = tf.compat.v1.wrap_function(import_graph, specs)
    return wrapped


@contextmanager
def _to_be_loaded(listing: GraphListing, taps: Sequence[GraphTap]) -> Iterator[Path]:
    """The folder to load: a TensorFlow 1 graph is changed first to one whose variables can be trained and saved."""
    folder = listing.files.folder
    if listing.meta_graph.object_graph_def.nodes:
        yield folder
        return
    model = saved_model_pb.SavedModel(saved_model_schema_version=1)
    meta_graph = model.meta_graphs.add()
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
    with tempfile.TemporaryDirectory(prefix="surgery-") as scratch:
        for path in folder.iterdir():
            if path.is_dir():
                (Path(scratch) / path.name).symlink_to(path.resolve(), target_is_directory=True)
        (Path(scratch) / SAVED_MODEL).write_bytes(model.SerializeToString())
        yield Path(scratch)


def _load(listing: GraphListing, folder: Path) -> Any:
    tags = None if listing.meta_graph.object_graph_def.nodes else list(listing.tags)
    try:
        return tf.saved_model.load(str(folder), tags=tags)
    except FAILURES as error:
        raise ModuleError(
            f"loading {listing.files.name}: {reason(error)}",
            hint="the SavedModel is damaged or needs an operation that this TensorFlow lacks",
        ) from error


def _know_operations(listing: GraphListing) -> None:
    """Brings TensorFlow Text's operations where a graph has some that TensorFlow itself does not know."""
    graph = listing.meta_graph.graph_def
    used = {node.op for function in graph.library.function for node in function.node_def}
    used |= {node.op for node in graph.node}
    used -= {function.signature.name for function in graph.library.function}
    if any(op_def_registry.get(op) is None for op in used):
        with suppress(ImportError):
            import tensorflow_text  # noqa: F401
    missing = sorted(op for op in used if op_def_registry.get(op) is None)
    if missing:
        raise ModuleError(
            f"loading {listing.files.name}: TensorFlow does not know its operations {', '.join(missing)}",
            hint="they come from a package of their own, which this environment lacks",
        )
