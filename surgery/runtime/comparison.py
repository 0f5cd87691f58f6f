"""Runs the original and the export side by side: recordings of a battery, weights, calls and inner hyperparameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from surgery.architecture import Inference, infer_architecture
from surgery.assignment import AssignmentMap
from surgery.battery import Batch
from surgery.errors import UnexplainedError
from surgery.module import InspectedModule
from surgery.parity import Recording
from surgery.runtime.encoder import Encoder
from surgery.runtime.export import flat_outputs
from surgery.runtime.session import SavedModelSession
from surgery.weights import sha256

Tick = Callable[[], None]

REFERENCE = "the module's own graph in a v1 Session"
NOT_COMPARED = frozenset({"attention_mask_adder"})
"""Fields in which a faithful export may differ: the adder changes nothing but rows of padding."""


def record_module(
    module: InspectedModule, inference: Inference, battery: Sequence[Batch], tick: Tick = lambda: None
) -> Recording:
    """What the module itself returns on a battery, under export names; a head's outputs as `mlm.…`.

    Its TF2 functions are run in a v1 Session, which is closed again before this returns.
    """
    traces = {name: module.trace(name, training=False) for name in ("__call__", *inference.heads)}
    functions = [trace.function for trace in traces.values() if trace is not None]
    with SavedModelSession(Path(module.folder), _serving_tags(module), functions) as session:
        conventions = {"__call__": inference.convention, **inference.heads}
        runners = {
            name: session.function(module, trace, conventions[name])
            for name, trace in traces.items()
            if trace is not None
        }
        recording = []
        for batch in battery:
            outputs = runners["__call__"](batch.inputs)
            for name in inference.heads if batch.heads else ():
                outputs.update({f"{name}.{key}": value for key, value in runners[name](batch.inputs).items()})
            recording.append(outputs)
            tick()
        return recording


def record_encoder(encoder: Encoder, battery: Sequence[Batch]) -> Recording:
    """What the encoder in memory returns on a battery, heads included."""
    recording = []
    for batch in battery:
        tokens = {a.name: tf.constant(batch.inputs[a.name]) for a in encoder.inference.family.inputs}
        outputs = encoder.encode(tokens, training=False)
        flat = {name: tensor.numpy() for name, tensor in flat_outputs(outputs).items()}
        for name in encoder.heads if batch.heads else ():
            recipe = encoder.inference.family.encoder.heads[name]
            logits = encoder.head(name, outputs["sequence_output"], tf.constant(batch.inputs[recipe.positions]))
            flat[f"{name}.{recipe.logits}"] = logits.numpy()
        recording.append(flat)
    return recording


class LoadedExport:
    """An export reloaded from disk into a v1 Session, as a server would load it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._session = SavedModelSession(folder, ("serve",))

    def __enter__(self) -> LoadedExport:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def record(
        self, battery: Sequence[Batch], inference: Inference, tick: Tick = lambda: None
    ) -> tuple[Recording, tuple[str, ...]]:
        """What the signatures return on a battery, and what their contract lacks, one line each."""
        problems = []
        runners = {}
        for name in ("serving_default", *inference.heads):
            recipe = inference.family.encoder.heads.get(name)
            wanted = {a.name for a in inference.family.inputs} | ({recipe.positions} if recipe else set())
            found = set(self._session.signatures[name].inputs) if name in self._session.signatures else None
            if found != wanted:
                what = "it is missing" if found is None else f"its inputs are {sorted(found)}"
                problems.append(f"signature {name}: expected the inputs {sorted(wanted)}, {what}")
            else:
                runners[name] = self._session.signature(name)
        recording = []
        for batch in battery:
            outputs = {}
            for name, run in runners.items():
                prefix = "" if name == "serving_default" else f"{name}."
                if not prefix or batch.heads:
                    outputs.update({prefix + key: value for key, value in run(batch.inputs).items()})
            recording.append(outputs)
            tick()
        return recording, tuple(problems)

    def hashes(self, targets: Sequence[str]) -> dict[str, str]:
        """SHA-256 of the variables of these names, as the session has restored them; missing ones are left out."""
        return {name: sha256(value) for name, value in self._session.variables(targets)}

    def check_calls(
        self, exported: InspectedModule, inference: Inference, batch: Batch, expected: Mapping[str, np.ndarray]
    ) -> tuple[str, ...]:
        """Runs every callable's inference trace on a batch; its outputs must be the signature's, to the bit."""
        problems = []
        for name, convention in (("__call__", inference.convention), *inference.heads.items()):
            trace = exported.trace(name, training=False)
            if trace is None or exported.trace(name, training=True) is None:
                problems.append(f"{name}: expected a trace for training and one for inference")
                continue
            outputs = self._session.function(exported, trace, convention)(batch.inputs)
            prefix = "" if name == "__call__" else f"{name}."
            for key, value in outputs.items():
                signature = expected.get(prefix + key)
                if signature is None or not np.array_equal(signature, value, equal_nan=True):
                    problems.append(f"{name}: its output {key} is not the signature's")
        return tuple(problems)


def check_contract(
    exported: InspectedModule, inference: Inference, weight_map: AssignmentMap
) -> tuple[Inference | None, tuple[str, ...]]:
    """Reads the export as if it were a module: its architecture and variables must be the source's.

    What outputs cannot show is seen here: dropout rates in the training trace, trainable flags, surplus variables.
    """
    try:
        own = infer_architecture(exported)
    except UnexplainedError as error:
        return None, (f"the export explains itself badly: {error.message}",)
    problems = [
        f"{field}: the module has {value}, the export {own.architecture.values.get(field)}"
        for field, value in inference.architecture.values.items()
        if field not in NOT_COMPARED and own.architecture.values.get(field) != value
    ]
    trainable = {variable.name: variable.trainable for variable in exported.variables}
    problems += [
        f"{a.target}: trainable is {a.variable.trainable} in the module, {trainable[a.target]} in the export"
        for a in weight_map.assignments
        if a.target in trainable and trainable[a.target] is not a.variable.trainable
    ]
    return own, tuple(problems)


def _serving_tags(module: InspectedModule) -> tuple[str, ...]:
    return next(graph.tags for graph in module.meta_graphs if "train" not in graph.tags)
