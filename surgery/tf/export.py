"""Writes an encoder as a SavedModel. The encoder is traced once per training mode; everything else calls those traces.

The root is a plain trackable object in the form of TF Hub's reusable SavedModels: `__call__`, `variables`,
`trainable_variables`, `regularization_losses`, the module's assets and constants, and `.mlm` where the source has
it. It holds no Keras object, because Keras would save a trace of every layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.python.saved_model.save_context import save_context

from surgery.errors import WriteError
from surgery.explanation.convention import Convention
from surgery.module import InspectedModule
from surgery.planning.outputs import ExportOutputs, Signature
from surgery.planning.requests import MODEL_GARDEN
from surgery.tables.head import HEAD
from surgery.tf import features
from surgery.tf.encoder import Encoder
from surgery.tf.flat_outputs import flat_outputs
from surgery.tf.reasons import reason

Specs = dict[str, tf.TensorSpec]


class Reusable(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
    """A root in the form of TF Hub's reusable SavedModels. Its lists are plain attributes, so that they are saved."""

    variables: Any = None
    trainable_variables: Any = None


@dataclass(frozen=True, kw_only=True)
class Export:
    """An encoder to be written in the calling conventions of its module.

    Attributes:
        module: The module, whose assets are copied.
        traces: The filled encoder's traces, and the outputs of every signature.
        constants: Values such as `do_lower_case`, by attribute of the root.
    """

    module: InspectedModule
    traces: Traces
    constants: Mapping[str, Any]


def write_saved_model(export: Export, folder: Path) -> None:
    """Saves the export into `folder`. Raises WriteError when the files cannot be written."""
    options = tf.saved_model.SaveOptions()
    with save_context(options):  # a save looks for traces that were made in its context, and makes others anew
        root, signatures = _root(export)
    try:
        tf.saved_model.save(root, str(folder), signatures=signatures, options=options)
    except (tf.errors.OpError, OSError) as error:
        raise WriteError(
            f"writing the SavedModel to {folder}: {reason(error)}",
            hint="check free space and permissions of that folder's disk",
        ) from error


def _root(export: Export) -> tuple[Reusable, dict[str, Any]]:
    """The object to save, and its signatures."""
    encoder, module, outputs = export.traces.encoder, export.module, export.traces.outputs
    inference = encoder.inference
    encode, specs = export.traces, export.traces.specs
    called = {training: encode(training=training, tapped=bool(outputs.taps)) for training in (True, False)}
    root = Reusable()
    _make_callable(root, inference.convention, specs, called)
    signatures = {name: _signature(encode, wanted, specs) for name, wanted in outputs.signatures.items()}
    for attribute, file in module.assets.items():
        if "/" not in attribute:
            setattr(root, attribute, tf.saved_model.Asset(str(Path(module.folder) / file)))
    constants = []
    for name, value in export.constants.items():
        constant = tf.Variable(value, trainable=False, name=name)
        setattr(root, name, constant)
        constants.append(constant)
    scopes = {
        name: recipe.scope for name, recipe in inference.family.encoder.submodels.items() if name in encoder.submodels
    }
    beside = tuple(f"{scope}/" for scope in (*scopes.values(), HEAD))
    own = [v for target, v in encoder.variables.items() if not target.startswith(beside)]
    _list_variables(root, [*own, *encoder.added, *constants])
    if outputs.head is not None:
        head = Reusable()
        _list_variables(head, [v for target, v in encoder.variables.items() if target.startswith(f"{HEAD}/")])
        setattr(root, HEAD, head)
    for name, scope in scopes.items():
        submodel = Reusable()
        positions = inference.family.encoder.submodels[name].positions
        with_positions = {**specs, positions: tf.TensorSpec([None, None], tf.int32, name=positions)}
        encoded = {True: called[True], False: encode(training=False)}
        functions = {t: _submodel_function(encoder, name, encoded[t], with_positions) for t in (True, False)}
        _make_callable(submodel, inference.submodels[name], with_positions, functions)
        signatures[name] = _served(with_positions, partial(_run_flat, functions[False]))
        extra = [v for target, v in encoder.variables.items() if target.startswith(f"{scope}/")]
        _list_variables(submodel, [*own, *encoder.added, *extra])
        setattr(root, name, submodel)
    return root, signatures


class Traces:
    """The encoder's concrete functions. Each is traced once, when it is first asked for; all share its variables.

    A function returns the encoder's outputs. A tapped one also returns the taps. One with a depth only runs the first
    blocks. A packed one leaves padding out. Traces for inference have the form that the request names; those for
    training are Model Garden's own.
    """

    def __init__(self, encoder: Encoder, outputs: ExportOutputs) -> None:
        self.encoder, self.outputs = encoder, outputs
        names = [anchor.name for anchor in encoder.inference.inputs]
        self.specs: Specs = {name: tf.TensorSpec([None, None], tf.int32, name=name) for name in names}
        self._made: dict[tuple[bool, bool, int | None, bool], Any] = {}

    def __call__(self, *, training: bool, tapped: bool = False, depth: int | None = None, packed: bool = False) -> Any:
        """A concrete function of int32 [batch, seq] inputs, in the specs' order; its outputs are those of `encode`."""
        key = (training, tapped, depth, packed)
        if key not in self._made:
            graph = MODEL_GARDEN if training else self.outputs.request.graph
            taps = [tap for tap in self.outputs.taps if tapped and (depth is None or tap.block < depth)]

            @tf.function(input_signature=list(self.specs.values()), autograph=False)  # type: ignore[untyped-decorator]
            def encode(*inputs: tf.Tensor) -> dict[str, Any]:
                named = dict(zip(self.specs, inputs, strict=True))
                return self.encoder.encode(named, training=training, taps=taps, depth=depth, graph=graph, packed=packed)

            self._made[key] = encode.get_concrete_function()
        return self._made[key]


def _signature(encode: Traces, wanted: Signature, specs: Specs) -> Any:
    """A signature with these outputs. It calls the smallest trace that computes them."""
    outputs = encode.outputs
    tapped = any(name in outputs.tap_names for name in wanted.outputs)
    function = encode(training=False, tapped=tapped, depth=wanted.depth, packed=wanted.packed)

    def run(inputs: list[tf.Tensor]) -> dict[str, tf.Tensor]:
        encoded = function(*inputs)
        flat = flat_outputs(encoded, outputs.tapped_blocks)
        for feature in outputs.features.values():
            if set(feature.outputs) & set(wanted.outputs):
                states = [flat[name] for name in feature.states]
                flat.update(features.compute(feature, states, inputs[list(specs).index("input_mask")]))
        if outputs.head_outputs.issuperset(wanted.outputs):
            flat.update(encode.encoder.head(encoded))
        return {name: flat[name] for name in wanted.outputs}

    return _served(specs, run)


def _run_flat(run: Callable[..., Mapping[str, Any]], inputs: list[tf.Tensor]) -> dict[str, tf.Tensor]:
    return flat_outputs(run(*inputs))


def _served(specs: Specs, run: Callable[[list[tf.Tensor]], dict[str, tf.Tensor]]) -> Any:
    """A signature's function, from inputs by name to flat outputs by name."""

    @tf.function(input_signature=[dict(specs)], autograph=False)  # type: ignore[untyped-decorator]
    def serve(inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return run([inputs[name] for name in specs])

    return serve


def _submodel_function(encoder: Encoder, name: str, encode: Any, specs: Specs) -> Callable[..., dict[str, Any]]:
    """The encoder's outputs and the sub-model's logits, as a function of the inputs in the specs' order."""
    recipe = encoder.inference.family.encoder.submodels[name]

    wanted = {path.partition("[")[0] for path in encoder.inference.submodels[name].outputs.values()}

    def run(*inputs: tf.Tensor) -> dict[str, Any]:
        *tokens, positions = inputs
        outputs = encode(*tokens)
        outputs = {**outputs, recipe.logits: encoder.submodel(name, outputs["sequence_output"], positions)}
        # The keys are those of the source's sub-model, so that code that calls it keeps working.
        return {key: value for key, value in outputs.items() if key in wanted}

    return run


def _make_callable(owner: Reusable, convention: Convention, specs: Specs, functions: Mapping[bool, Any]) -> None:
    """Gives an object Hub's `__call__(inputs, training=False)`.

    For a dict of inputs the call returns a dict, as Hub's modules do since `/3`. If the module took a list, the call
    takes a list as well, and returns what the module returned: a list, or as LaBSE's exporter has it, a dict.
    """

    def call(inputs: Any, training: bool = False) -> Any:
        named = inputs if isinstance(inputs, dict) else {name: inputs[number] for name, number in places.items()}
        outputs = functions[bool(training)](*(named[name] for name in specs))
        if not isinstance(inputs, dict):
            if convention.returned == "list":
                return [outputs[name] for name in sorted(convention.outputs, key=convention.outputs.__getitem__)]
            outputs = {name: value for name, value in outputs.items() if name in returned}
        aliases = {alias: outputs[name] for alias, name in convention.aliases.items() if name in outputs}
        return {**outputs, **aliases}

    places = {name: int(path.strip("[]")) for name, path in convention.inputs.items() if convention.kind == "list"}
    returned = {path.partition("[")[0] for path in convention.outputs.values()}
    function = tf.function(call, autograph=False)
    for training in (True, False):
        function.get_concrete_function(dict(specs), training=training)
        if convention.kind == "list":
            ordered = sorted(convention.inputs, key=convention.inputs.__getitem__)
            function.get_concrete_function([specs[name] for name in ordered], training=training)
    owner.__call__ = function


def _list_variables(owner: Any, variables: list[tf.Variable]) -> None:
    """Sets the lists that hub.KerasLayer reads from a reusable SavedModel."""
    owner.variables = variables
    owner.trainable_variables = [variable for variable in variables if variable.trainable]
    owner.regularization_losses = []
