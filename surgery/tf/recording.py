"""Records the outputs of a module, of an encoder in memory and of a reloaded export on a battery."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from surgery.explanation.architecture import Inference
from surgery.explanation.convention import Convention
from surgery.export.weights import sha256
from surgery.module import SERVE, InspectedModule
from surgery.planning.outputs import SERVING, ExportOutputs
from surgery.planning.signatures import called_only, signature_inputs
from surgery.planning.taps import Offer, TapAtBlock, blocks_by_tap
from surgery.proof.battery import Batch
from surgery.proof.comparison import Arrays, Recording
from surgery.proof.inner_tensors import inner_tensors, tap_tensors
from surgery.tf.encoder import Encoder
from surgery.tf.export import flat_outputs
from surgery.tf.meta_graph import with_tags
from surgery.tf.session import Runner, SavedModelSession

Tick = Callable[[], None]

REFERENCE = "the module's own graph in a v1 Session"


def record_module(
    module: InspectedModule,
    inference: Inference,
    battery: Sequence[Batch],
    taps: Sequence[TapAtBlock] = (),
    tick: Tick = lambda: None,
) -> Recording:
    """The module's own outputs on a battery, by export name; a sub-model's outputs are `mlm.…`.

    Taps are read from the module's graph, on the batches on which sub-models are run. Taps that are not found there are
    left out. The functions of a TF2 module are run in a v1 Session, which is closed before this returns. `tick` is
    called after each batch. Raises ModuleError when the module cannot be loaded or run.
    """
    tags = _serving_tags(module)
    meta_graph = with_tags(module.saved_model, tags)
    with SavedModelSession(Path(module.folder), tags, variables_of=meta_graph) as session:
        runners = _runners(session, module, inference, taps)
        offers = {tap.output: tap.offer for tap in taps}
        recording = []
        for batch in battery:
            run = runners["tapped" if taps and batch.submodels else "__call__"]
            outputs = {}
            for name, value in run(batch.inputs).items():
                if name in offers:
                    outputs[name] = value.reshape(_sizes(offers[name], inference, batch))
                else:
                    outputs[name] = _by_token(name, value, batch)
            for name in inference.submodels if batch.submodels else ():
                outputs.update({f"{name}.{key}": value for key, value in runners[name](batch.inputs).items()})
            recording.append(outputs)
            tick()
        return recording


def _sizes(offer: Offer, inference: Inference, batch: Batch) -> tuple[int, ...]:
    """The shape of a tap's tensor for a batch, with every axis known."""
    rows, length = batch.inputs["input_mask"].shape
    return tuple(size for size in offer.shape(inference, rows, length) if size is not None)


def _by_token(name: str, value: np.ndarray, batch: Batch) -> np.ndarray:
    """A tensor that a TF1 graph may keep flat, [batch * seq, hidden], as [batch, seq, hidden].

    The pooled output is recognised by its name, because at length 1 its shape [batch, hidden] is the same.
    """
    rows, length = batch.inputs["input_mask"].shape
    return value.reshape(rows, length, -1) if value.ndim == 2 and name != "pooled_output" else value


def record_encoder(encoder: Encoder, battery: Sequence[Batch], taps: Sequence[TapAtBlock] = ()) -> Recording:
    """The outputs of the encoder in memory on a battery, by export name, including sub-models and taps."""
    blocks = blocks_by_tap(taps)
    recording = []
    for batch in battery:
        tokens = {a.name: tf.constant(batch.inputs[a.name]) for a in encoder.inference.family.inputs}
        outputs = encoder.encode(tokens, training=False, taps=taps)
        flat = {name: tensor.numpy() for name, tensor in flat_outputs(outputs, blocks).items()}
        for name in encoder.submodels if batch.submodels else ():
            recipe = encoder.inference.family.encoder.submodels[name]
            logits = encoder.submodel(name, outputs["sequence_output"], tf.constant(batch.inputs[recipe.positions]))
            flat[f"{name}.{recipe.logits}"] = logits.numpy()
        recording.append(flat)
    return recording


class LoadedExport:
    """An inspected export, reloaded from disk into a v1 Session as a server loads it. Raises ModuleError."""

    def __init__(self, exported: InspectedModule) -> None:
        self._exported = exported
        self._session = SavedModelSession(Path(exported.folder), SERVE)

    def __enter__(self) -> LoadedExport:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def replay(
        self, inference: Inference, outputs: ExportOutputs, battery: Sequence[Batch], tick: Tick = lambda: None
    ) -> Iterator[Arrays]:
        """The outputs of the signatures on each batch.

        Outputs of `serving_default` have plain names. Outputs of other signatures have names such as `mlm.…` and
        `taps.…`; they are run on the batches on which sub-models are run. Outputs that only the call returns are
        `__call__.…`. A signature with unexpected inputs is not run. `tick` is called after each batch.
        """
        inputs_of = {name: set(signature.inputs) for name, signature in self._session.signatures.items()}
        runners = {
            name: self._session.signature(name)
            for name, inputs in signature_inputs(inference, outputs).items()
            if inputs_of.get(name) == inputs
        }
        called = called_only(inference, outputs)
        trace = self._exported.trace("__call__", training=False)
        if called and trace is not None:
            paths = [path for path, _ in trace.flat_inputs]
            inputs = dict(zip(paths, paths, strict=True))
            convention = Convention(callable="__call__", kind="dict", inputs=inputs, outputs=called, aliases={})
            runners["__call__"] = self._session.function(self._exported, trace, convention, {})
        for batch in battery:
            returned: dict[str, np.ndarray] = {}
            for name, run in runners.items():
                prefix = "" if name == SERVING else f"{name}."
                if name in (SERVING, "__call__") or batch.submodels:
                    returned.update({prefix + key: value for key, value in run(batch.inputs).items()})
            yield returned
            tick()

    def hashes(self, targets: Sequence[str]) -> dict[str, str]:
        """SHA-256 of the variables of these names, as the session has restored them. Missing ones are left out."""
        return {name: sha256(value) for name, value in self._session.variables(targets)}


def _runners(
    session: SavedModelSession,
    module: InspectedModule,
    inference: Inference,
    taps: Sequence[TapAtBlock],
) -> dict[str, Runner]:
    """A runner for each callable of a module. That of `__call__` also returns the tensors between its blocks.

    With taps, a second runner of the call, "tapped", returns the taps as well.
    """
    found = {}
    for name, convention in (("__call__", inference.convention), *inference.submodels.items()):
        trace = module.trace(name, training=False)
        assert trace is not None, "read_convention has refused a module without it"
        inner = inner_tensors(trace, inference) if name == "__call__" else {}
        found[name] = session.function(module, trace, convention, inner)
        if name == "__call__" and taps:
            inner = {**inner, **tap_tensors(trace, inference, taps)}
            found["tapped"] = session.function(module, trace, convention, inner)
    return found


def _serving_tags(module: InspectedModule) -> tuple[str, ...]:
    return next(graph.tags for graph in module.meta_graphs if "train" not in graph.tags)
