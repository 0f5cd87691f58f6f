"""Runs a filled encoder in memory, in float32 and in double precision, through the traces that will be saved."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf
from tensorboard.compat.proto import graph_pb2

from surgery.graphs.flat import FlatGraph
from surgery.graphs.merging import Input, Part
from surgery.proof.battery import Batch
from surgery.proof.comparison import Arrays, Outputs
from surgery.proof.joining import joinable, run_joined
from surgery.tables.head import HEAD
from surgery.tf.export import Traces
from surgery.tf.flat_outputs import flat_outputs
from surgery.tf.merged import import_merged, new_merging


class InMemory:
    """The encoder of `traces`, with its sub-models and the head that is kept, and with its taps if `tapped`.

    Attributes:
        formulas: Names of the formulas whose exact values took the place of their float32 roundings.
        lacking: The types of operations without a kernel for double precision, by the output that lacks for them.
    """

    def __init__(self, traces: Traces, *, tapped: bool) -> None:
        encoder = traces.encoder
        recipes = {name: encoder.inference.family.encoder.submodels[name] for name in encoder.submodels}
        self._names = [*traces.specs, *dict.fromkeys(recipe.positions for recipe in recipes.values())]
        specs = [tf.TensorSpec([None, None], tf.int32, name=name) for name in self._names]
        encode = traces(training=False, tapped=tapped)
        self._taps = traces.outputs.tap_names

        @tf.function(input_signature=specs, autograph=False)  # type: ignore[untyped-decorator]
        def run(*inputs: tf.Tensor) -> dict[str, tf.Tensor]:
            given = dict(zip(self._names, inputs, strict=True))
            encoded = encode(*(given[name] for name in traces.specs))
            flat = flat_outputs(encoded, traces.outputs.tapped_blocks)
            for name, recipe in recipes.items():
                flat[f"{name}.{recipe.logits}"] = encoder.submodel(
                    name, encoded["sequence_output"], given[recipe.positions]
                )
            if traces.outputs.head is not None:
                logits = encoder.head(encoded)
                flat.update({f"{HEAD}.{name}": tensor for name, tensor in logits.items()})
            return flat

        self.formulas: tuple[str, ...] = ()
        self.lacking: Mapping[str, tuple[str, ...]] = {}
        self._single = run.get_concrete_function()
        self._double = self._twin(specs)

    def record(self, battery: Sequence[Batch]) -> list[Outputs]:
        """The encoder's outputs on each batch by export name, and those of sub-models, such as `mlm.mlm_logits`, and of
        the head, such as `classifier.logits`.

        On batches with taps, these are among them.
        """
        double = partial(self._run, self._double)
        wide: dict[int, Arrays] = {}
        with _not_optimised():
            for numbers in joinable(battery):
                wide |= run_joined(battery, numbers, double)
        return [
            Outputs(float64=wide[number], float32=self._run(self._single, batch) if batch.float32 else {})
            for number, batch in enumerate(battery)
        ]

    def _run(self, function: Any, batch: Batch) -> Arrays:
        left_out: Collection[str] = () if batch.taps else self._taps
        return _arrays(function(*(tf.constant(batch.inputs[name]) for name in self._names)), left_out)

    def _twin(self, specs: Sequence[tf.TensorSpec]) -> Any:
        """The same function in double precision, of the same variables."""
        graph = self._single.graph
        held = {placeholder.name: tensor for tensor, placeholder in graph.captures}
        given = [tensor.name for tensor in graph.inputs if tensor.name not in held]
        outputs = graph.structured_outputs
        flat = FlatGraph.of_graph_def(
            graph_pb2.GraphDef.FromString(graph.as_graph_def().SerializeToString()),
            [*given, *held],
            [tensor.name for tensor in outputs.values()],
        )
        merging = new_merging()
        merging.add(
            Part(
                graph=flat,
                inputs={n: Input(name=m, dtype="int32") for n, m in zip(flat.inputs, self._names, strict=False)},
                variables=dict(zip(flat.inputs[len(given) :], held, strict=True)),
                outputs=dict(zip(outputs, flat.outputs, strict=True)),
            )
        )
        merged = merging.result()

        @tf.function(input_signature=list(specs), autograph=False)  # type: ignore[untyped-decorator]
        def run(*inputs: tf.Tensor) -> dict[str, tf.Tensor]:
            current = tf.compat.v1.get_default_graph()
            by_name = dict(zip(self._names, inputs, strict=True))
            bound = {free: by_name[given.name] for free, given in merged.inputs.items()}
            bound |= {free: current.capture(held[name]) for free, name in merged.variables.items()}
            imported = import_merged(merged, bound, double=True)
            self.formulas, self.lacking = imported.formulas, imported.lacking
            return dict(imported.tensors)

        return run.get_concrete_function()


@contextmanager
def _not_optimised() -> Iterator[None]:
    """Runs functions as they are written: TensorFlow takes longer to optimise a graph than to run it on a battery."""
    option = "disable_meta_optimizer"
    before = tf.config.optimizer.get_experimental_options().get(option, False)
    tf.config.optimizer.set_experimental_options({option: True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({option: before})


def _arrays(outputs: Mapping[str, tf.Tensor], left_out: Collection[str]) -> Arrays:
    return {name: np.asarray(tensor) for name, tensor in outputs.items() if name not in left_out}
