"""Runs a SavedModel in a v1 Session, as TensorFlow Serving does. This is twice as fast as loading a TF2 module.

Signatures are run by name. A TF2 callable without a signature (`__call__`, `.mlm`) can be run as well: the graph of its
concrete function is imported beside the session's variables, so that its inner tensors can be fetched, too.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import op_def_registry

from surgery.errors import ModuleError
from surgery.explanation.convention import Convention
from surgery.graphs.flat import Tensor as Flat
from surgery.graphs.flatten import VALUES_ALONE, flatten
from surgery.module import InspectedModule, Trace
from surgery.tf.memory import give_back
from surgery.tf.meta_graph import only_variables, restore_by_name
from surgery.tf.reasons import reason

Batch = Mapping[str, np.ndarray]
Arrays = dict[str, np.ndarray]
Runner = Callable[[Batch], Arrays]

BYTES_PER_FETCH = 64 * 2**20


class SavedModelSession:
    """A SavedModel in a graph and session of its own. Close it, or use it in a `with` statement.

    It is loaded as a whole, as a server loads it. With `variables_of`, a parsed meta graph, only the variables are
    loaded: a Keras module has a dozen traces of every layer, which cost three times the memory and seconds of
    optimisation. `threads` is the number of threads that compute; None leaves it to TensorFlow, which uses all cores.
    Raises ModuleError when the SavedModel cannot be loaded.
    """

    def __init__(
        self, folder: Path | str, tags: Sequence[str], *, variables_of: Any = None, threads: int | None = None
    ) -> None:
        give_back()
        self._folder = folder
        self._graph = tf.Graph()
        config = tf.compat.v1.ConfigProto(
            intra_op_parallelism_threads=threads or 0, inter_op_parallelism_threads=threads or 0
        )
        # Without threads of its own, a session uses those of the first session in the process.
        config.use_per_session_threads = threads is not None
        self._session = tf.compat.v1.Session(graph=self._graph, config=config)
        self.signatures: Mapping[str, Any] = {}
        try:
            with self._graph.as_default():
                if variables_of is not None:
                    meta_graph = only_variables(variables_of)
                    saver = tf.compat.v1.train.import_meta_graph(meta_graph, clear_devices=True)
                    prefix = os.path.join(folder, "variables", "variables")
                    if saver is not None:
                        saver.restore(self._session, prefix)
                    else:
                        self._session.run(restore_by_name(self._handles, prefix))
                else:
                    loaded = tf.compat.v1.saved_model.load(self._session, list(tags), str(folder))
                    self.signatures = loaded.signature_def
        except (tf.errors.OpError, RuntimeError, ValueError, OSError, KeyError, TypeError, AttributeError) as error:
            self.close()
            raise ModuleError(
                f"loading {folder} into a session: {reason(error)}",
                hint="the SavedModel is damaged or needs an operation that this TensorFlow lacks",
            ) from error
        give_back()

    def __enter__(self) -> SavedModelSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the session and deletes it: only its deletion frees the variables."""
        self._session.close()
        del self._session
        give_back()

    def signature(self, name: str, wanted: Collection[str] | None = None) -> Runner:
        """A function from a batch, by input key, to the outputs of the signature by key: all, or only the wanted ones.

        Outputs that are not wanted are not computed. TensorFlow prunes a function call only if none of its own results
        is fetched, so an `identity` of each wanted result is fetched.
        """
        signature = self.signatures[name]
        inputs = {key: info.name for key, info in signature.inputs.items()}
        outputs: dict[str, Any] = {key: info.name for key, info in signature.outputs.items()}
        if wanted is not None:
            with self._graph.as_default():
                outputs = {
                    key: tf.identity(self._graph.get_tensor_by_name(tensor))
                    for key, tensor in outputs.items()
                    if key in wanted
                }
        return lambda batch: self._run(outputs, {inputs[key]: batch[key] for key in inputs})

    def function(
        self,
        module: InspectedModule,
        trace: Trace,
        convention: Convention,
        inner: Mapping[str, Flat],
    ) -> Runner:
        """A function from a batch, by encoder input, to the outputs of a callable by export name.

        `inner` are tensors inside the callable that are returned as well, by name. The callable's graph is imported
        beside the session's variables.
        """
        graph = trace.open_graph()
        of_path = {path: tensor for (path, _), tensor in zip(trace.flat_outputs, graph.outputs, strict=True)}
        wanted = {**inner, **{name: of_path[path] for name, path in convention.outputs.items()}}
        ports = [graph.port(tensor) for tensor in wanted.values()]
        flat = flatten(graph.root, ports, op_def_registry.get, VALUES_ALONE)
        role_of = {path: role for role, path in convention.inputs.items()}
        with self._graph.as_default():
            feeds = {
                role_of[path]: tf.compat.v1.placeholder(leaf.dtype, leaf.shape) for path, leaf in trace.flat_inputs
            }
            arguments = [graph.argument(node) for node in graph.inputs]
            bound = dict(zip(arguments, feeds.values(), strict=True))
            bound.update({graph.argument(node): self._handle(module, path) for path, node in graph.variables.items()})
            fetched = tf.graph_util.import_graph_def(
                tf.compat.v1.GraphDef.FromString(flat.graph_def.SerializeToString()),
                input_map={f"{name}:0": bound[name] for name in flat.free},
                return_elements=list(flat.tensors),
                name=trace.callable.strip("_"),
            )
        outputs = dict(zip(wanted, fetched, strict=True))
        return lambda batch: self._run(outputs, {feed: batch[role] for role, feed in feeds.items()})

    def variables(self, names: Iterable[str]) -> Iterator[tuple[str, np.ndarray]]:
        """Names and values of variables as the session has restored them. Names that it lacks are left out.

        The values are fetched in groups: each new set of fetches costs a pass over the graph, and one set of all
        variables would cost the memory of a second model.
        """
        known = [(name, self._handles[name]) for name in names if name in self._handles]
        group: list[tuple[str, tf.Tensor]] = []
        room = BYTES_PER_FETCH
        for name, handle in known:
            group.append((name, handle))
            room -= _nbytes(handle)
            if room <= 0 or name == known[-1][0]:
                reads = [f"{fetched.op.name}/Read/ReadVariableOp:0" for _, fetched in group]
                yield from zip((n for n, _ in group), self._session.run(reads), strict=True)
                group, room = [], BYTES_PER_FETCH

    def _handle(self, module: InspectedModule, path: str | None) -> tf.Tensor:
        variable = next((v for v in module.variables if v.address == path), None)
        if variable is None or variable.name not in self._handles:
            raise ModuleError(
                f"calling a function of {self._folder}: cannot find the variable {variable.name if variable else path} "
                "in its graph"
            )
        return self._handles[variable.name]

    @cached_property
    def _handles(self) -> dict[str, tf.Tensor]:
        """Variable handles by name. A name that two variables share is left out."""
        found: dict[str, list[tf.Tensor]] = {}
        for operation in self._graph.get_operations():
            if operation.type == "VarHandleOp":
                found.setdefault(operation.get_attr("shared_name").decode(), []).append(operation.outputs[0])
        return {name: handles[0] for name, handles in found.items() if len(handles) == 1}

    def _run(self, outputs: Mapping[str, Any], feeds: Mapping[Any, np.ndarray]) -> Arrays:
        names = list(outputs)
        try:
            values = self._session.run([outputs[name] for name in names], feed_dict=dict(feeds))
        except tf.errors.OpError as error:
            raise ModuleError(
                f"running {self._folder}: {reason(error)}", hint="the SavedModel is damaged: fetch or write it again"
            ) from error
        return dict(zip(names, values, strict=True))


def _nbytes(handle: tf.Tensor) -> int:
    """Size of the variable behind a VarHandleOp's output; 0 when its shape is not known."""
    shape = tf.TensorShape(handle.op.get_attr("shape"))
    size: int = handle.op.get_attr("dtype").size
    return math.prod(shape.as_list()) * size if shape.is_fully_defined() else 0
