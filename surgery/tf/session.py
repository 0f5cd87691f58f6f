"""Runs a SavedModel in a v1 Session, as TensorFlow Serving does. This is twice as fast as loading a TF2 module.

Signatures are run by name. Any function of the SavedModel can be run as well, with its inner tensors, and in double
precision: merged graphs are imported beside the session's variables.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import rewriter_config_pb2

from surgery.errors import ModuleError
from surgery.graphs.merging import Merged
from surgery.scanning.gate import Cleared
from surgery.tf import time_limit
from surgery.tf.loading import load_into, load_variables_into
from surgery.tf.memory import trim
from surgery.tf.merged import import_merged
from surgery.tf.meta_graph import variable_handles
from surgery.tf.reasons import reason

Batch = Mapping[str, np.ndarray]
Arrays = dict[str, np.ndarray]
Runner = Callable[[Batch], Arrays]

BYTES_PER_FETCH = 192 * 2**20
"""How much of the variables is fetched at once. TensorFlow prepares each set of outputs, and keeps that for as long as
the session lives, with a copy of all functions: 12 MB for an export of a BERT-base."""


@dataclass(frozen=True, kw_only=True)
class Imported:
    """A merged graph that can be run.

    Attributes:
        run: Returns the wanted outputs by name, of those that it has, for a batch by input.
        tensors: Its outputs by name.
        lacking: The types of operations without a kernel for double precision, by the output that lacks for them.
        formulas: Names of the formulas whose exact values stand in it in place of their float32 roundings.
    """

    run: Callable[[Batch, Collection[str]], Arrays]
    tensors: Mapping[str, Any]
    lacking: Mapping[str, tuple[str, ...]]
    formulas: tuple[str, ...]


class SavedModelSession:
    """A SavedModel in a graph and session of its own. Close it, or use it in a `with` statement.

    It is loaded as a whole, as a server loads it; with `only_variables`, nothing but the variables. `threads` is the
    number of threads that compute; None leaves it to TensorFlow, which uses all cores. `few_runs` says that each set of
    outputs is run on a few batches only, so that the time of optimising a graph counts. `bfloat16` is TensorFlow
    Serving's `--mixed_precision=bfloat16`. Raises ModuleError when the SavedModel cannot be loaded.
    """

    def __init__(
        self,
        cleared: Cleared,
        tags: Sequence[str],
        *,
        only_variables: bool = False,
        threads: int | None = None,
        few_runs: bool = False,
        bfloat16: bool = False,
    ) -> None:
        self._folder = cleared.folder
        self._graph = tf.Graph()
        config = tf.compat.v1.ConfigProto(
            intra_op_parallelism_threads=threads or 0, inter_op_parallelism_threads=threads or 0
        )
        # Without threads of its own, a session uses those of the first session in the process.
        config.use_per_session_threads = threads is not None
        # For each new set of outputs TensorFlow places and optimises the whole graph, unless it is told to prune first.
        # It then no longer leaves out what a called function computes for outputs that nobody wants.
        config.graph_options.place_pruned_graph = few_runs
        if bfloat16:
            rewrite = config.graph_options.rewrite_options
            rewrite.auto_mixed_precision_onednn_bfloat16 = rewriter_config_pb2.RewriterConfig.ON
        self._session = tf.compat.v1.Session(graph=self._graph, config=config)
        self.signatures: Mapping[str, Any] = {}
        try:
            with self._graph.as_default():
                if only_variables:
                    load_variables_into(self._session, cleared, tags)
                else:
                    self.signatures = load_into(self._session, cleared, tags)
        except (tf.errors.OpError, RuntimeError, ValueError, OSError, LookupError, TypeError, AttributeError) as error:
            self.close()
            raise ModuleError(
                f"loading {self._folder} into a session: {reason(error)}",
                hint="the SavedModel is damaged or needs an operation that this TensorFlow lacks",
            ) from error
        trim()

    def __enter__(self) -> SavedModelSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the session and deletes it: only its deletion frees the variables."""
        self._session.close()
        del self._session
        trim()

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

    def fetch(self, tensors: Mapping[str, str], feeds: Batch, *, hint: str) -> Arrays:
        """Tensors of the graph by name, computed from others: both are given by their names in the graph.

        Nothing else is computed, see `signature`. Raises ModuleError with the hint when the graph refuses the feeds.
        """
        try:
            with self._graph.as_default():
                found = {key: tf.identity(self._graph.get_tensor_by_name(name)) for key, name in tensors.items()}
            return self._run(found, feeds, hint=hint)
        except (ValueError, TypeError, LookupError) as error:
            raise ModuleError(f"running {self._folder}: {reason(error)}", hint=hint) from error

    def optimised(self, name: str, batch: Batch) -> list[Any]:
        """The graphs that TensorFlow runs for a signature on a batch, after optimisation. Raises as running it does."""
        signature, run = self.signatures[name], tf.compat.v1.RunMetadata()
        feeds = {info.name: batch[key] for key, info in signature.inputs.items()}
        options = time_limit.run_options()
        options.output_partition_graphs = True
        outputs = {key: info.name for key, info in signature.outputs.items()}
        self._run(outputs, feeds, options=options, run_metadata=run)
        return list(run.partition_graphs)

    def graph(self, merged: Merged, *, double: bool = False) -> Imported:
        """Imports a merged graph beside the session's variables, as it is or in double precision.

        Raises ModuleError for a variable that the session does not have, and for a graph that TensorFlow refuses.
        """
        handles = {free: self._handle(name) for free, name in merged.variables.items()}
        with self._graph.as_default():
            feeds = {free: tf.compat.v1.placeholder(given.dtype) for free, given in merged.inputs.items()}
            try:
                imported = import_merged(merged, {**handles, **feeds}, double=double)
            except (ValueError, TypeError) as error:
                raise ModuleError(
                    f"importing the graphs of {self._folder} as one: {reason(error)}",
                    hint="such a graph cannot be compared: please report it",
                ) from error
        names = {feed: merged.inputs[free].name for free, feed in feeds.items()}

        def run(batch: Batch, wanted: Collection[str]) -> Arrays:
            outputs = {name: imported.tensors[name] for name in wanted if name in imported.tensors}
            return self._run(outputs, {feed: batch[name] for feed, name in names.items() if name in batch})

        return Imported(run=run, tensors=imported.tensors, lacking=imported.lacking, formulas=imported.formulas)

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

    def _handle(self, name: str) -> tf.Tensor:
        if name not in self._handles:
            raise ModuleError(f"calling a function of {self._folder}: cannot find the variable {name} in its graph")
        return self._handles[name]

    @cached_property
    def _handles(self) -> dict[str, tf.Tensor]:
        """Variable handles by name. A name that two variables share is left out."""
        return variable_handles(self._graph)

    def _run(
        self,
        outputs: Mapping[str, Any],
        feeds: Mapping[Any, np.ndarray],
        options: Any = None,
        run_metadata: Any = None,
        hint: str = "the SavedModel is damaged: fetch or write it again",
    ) -> Arrays:
        names = list(outputs)
        options = options or time_limit.run_options()
        try:
            values = self._session.run(
                [outputs[name] for name in names], feed_dict=dict(feeds), options=options, run_metadata=run_metadata
            )
        except tf.errors.DeadlineExceededError as error:
            raise time_limit.exceeded(f"running {self._folder}") from error
        except (tf.errors.OpError, ValueError) as error:  # ValueError: a placeholder has another shape
            raise ModuleError(f"running {self._folder}: {reason(error)}", hint=hint) from error
        return dict(zip(names, values, strict=True))


def _nbytes(handle: tf.Tensor) -> int:
    """Size of the variable behind a VarHandleOp's output; 0 when its shape is not known."""
    shape = tf.TensorShape(handle.op.get_attr("shape"))
    size: int = handle.op.get_attr("dtype").size
    return math.prod(shape.as_list()) * size if shape.is_fully_defined() else 0
