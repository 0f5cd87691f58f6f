"""Builds the Model Garden encoder that a recipe describes; its variables are born with the module's weights.

Keras would draw a hundred million random numbers only to have them overwritten. A variable creator hands each new
variable its value instead, under its clean name, and so also proves that every target is filled exactly once.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
import tf_keras

from surgery.architecture import Inference
from surgery.errors import SurgeryError, UnexplainedError
from surgery.family import Activation, BlockLayers, Constant, LayerClass, Setting
from surgery.weights import Weights

SCOPE = "encoder"
"""The network's own name, which its variables do not carry."""


def gelu(x: tf.Tensor) -> tf.Tensor:
    """GELU by the error function."""
    return tf_keras.activations.gelu(x, approximate=False)


def gelu_tanh(x: tf.Tensor) -> tf.Tensor:
    """GELU's approximation by tanh, which BERT's own code uses."""
    return tf_keras.activations.gelu(x, approximate=True)


ACTIVATIONS = {"gelu": gelu, "gelu_tanh": gelu_tanh, "relu": tf_keras.activations.relu}


@dataclass(frozen=True)
class Encoder:
    """A filled encoder: its network, its heads by name ("mlm"), and its variables by target in creation order."""

    inference: Inference
    network: Any
    heads: Mapping[str, Any]
    variables: Mapping[str, tf.Variable]

    def encode(self, inputs: Mapping[str, tf.Tensor], *, training: bool) -> dict[str, Any]:
        """Runs the network on int32 [batch, seq] inputs.

        Returns its outputs under their export names: `pooled_output` [batch, hidden], `sequence_output` and
        `embedding_output` [batch, seq, hidden], `encoder_outputs` as a list of the latter, all float32.
        """
        recipe, present = self.inference.family.encoder, self.inference.output_names
        absent = [
            layer
            for name, optional in recipe.optional.items()
            if name not in present
            for layer in _layers(self.network, optional.layer)
        ]
        with _first_input(_layers(self.network, recipe.first_block)[0]) as seen, _left_out(absent):
            found = self.network(dict(inputs), training=training)
        named = {name: found[key] for key, name in recipe.outputs.items() if name in present}
        return {**named, "embedding_output": seen[0]}

    def head(self, name: str, sequence_output: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
        """Logits [batch, positions, vocab] of a head at int32 [batch, positions] of the sequence output."""
        return self.heads[name](sequence_output, positions)


def build_encoder(inference: Inference, weights: Weights) -> Encoder:
    """The encoder with every weight in its place.

    Raises UnexplainedError when the encoder wants a weight that the module does not have, the other way round, or in
    another shape.
    """
    recipe, architecture = inference.family.encoder, inference.architecture
    tokens = tf.zeros([1, 1], tf.int32)
    heads = {}
    absent = tuple(
        f"{optional.scope}/" for name, optional in recipe.optional.items() if name not in inference.output_names
    )
    with _born_with_weights(recipe.renames, weights, absent) as variables:
        network = _load(recipe.network)(**_argument(recipe.arguments, architecture.values), name=SCOPE)
        outputs = network({anchor.name: tokens for anchor in inference.family.inputs}, training=False)
        for name, head in recipe.heads.items():
            if name in inference.heads:
                layer = _load(head.layer)(
                    embedding_table=network.get_embedding_table(),
                    activation=_activation(architecture[head.activation]),
                    name=head.scope,
                )
                layer(outputs["sequence_output"], tokens)
                _apply(layer, head.settings, architecture.values)
                heads[name] = layer
    _apply(network, recipe.settings, architecture.values)
    unfilled = [a for target, a in weights.assignments.items() if target not in variables]
    if unfilled:
        raise UnexplainedError(
            "filling the encoder: it has no place for these weights of the module",
            details=tuple(f"{a.variable.name} (as {a.target})" for a in unfilled),
        )
    return Encoder(inference, network, heads, variables)


@contextmanager
def _born_with_weights(
    renames: tuple[tuple[str, str], ...], weights: Weights, absent: tuple[str, ...]
) -> Iterator[dict[str, tf.Variable]]:
    made: dict[str, tf.Variable] = {}
    refused: list[SurgeryError] = []

    def create(next_creator: Any, **kwargs: Any) -> tf.Variable:
        if kwargs.get("name") is None:
            return next_creator(**kwargs)  # a step counter of Keras's Model; a layer's weight always has a name
        try:
            return fill(next_creator, kwargs)
        except SurgeryError as error:
            refused.append(error)
            raise

    def fill(next_creator: Any, kwargs: dict[str, Any]) -> tf.Variable:
        path = f"{tf.get_current_name_scope()}/{kwargs.get('name')}"
        target = path.removeprefix(SCOPE + "/")
        for pattern, replacement in renames:
            target = re.sub(pattern, replacement, target)
        if target.startswith(absent):
            return next_creator(**kwargs)  # of a layer that the module lacks: never called, never saved
        if target not in weights or target in made:
            raise UnexplainedError(
                f"filling the encoder: it wants a weight {target}, "
                + ("twice" if target in made else "which no variable of the module is assigned to")
            )
        value = weights.value(target)
        wanted = tuple(kwargs.get("shape") or ())
        if value.shape != wanted:
            raise UnexplainedError(
                f"filling {target}: the encoder wants shape {list(wanted)}, the module gives {list(value.shape)}"
            )
        parent, _, leaf = target.rpartition("/")
        trainable = weights.assignments[target].variable.trainable
        kwargs.update(initial_value=tf.constant(value), name=leaf, trainable=trainable)
        with tf.name_scope(parent + "/"):
            made[target] = next_creator(**kwargs)
        return made[target]

    try:
        with tf.variable_creator_scope(create):
            yield made
    except Exception:
        # Keras rewrites the message of what is raised inside a layer; the original says more.
        if refused:
            raise refused[0] from None
        raise


def _argument(given: Any, values: Mapping[str, Any]) -> Any:
    """A constructor argument as a recipe describes it, for these values of the architecture."""
    match given:
        case str(field):
            return values[field]
        case Constant(value):
            return value
        case Activation(field):
            return _activation(values[field])
        case LayerClass(place):
            return _load(place)
        case BlockLayers(layer, arguments):
            made = []
            for block in range(values["num_hidden_layers"]):
                own = _argument(arguments, values)
                own["name"] = own["name"].format(layer=block)
                made.append(_load(layer.place)(**own))
            return made
        case _:
            return {name: _argument(argument, values) for name, argument in given.items()}


def _activation(name: str) -> Any:
    if name not in ACTIVATIONS:
        raise UnexplainedError(
            f"building the encoder: the activation {name} is not known; known are {', '.join(ACTIVATIONS)}"
        )
    return ACTIVATIONS[name]


def _load(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def _apply(owner: Any, settings: tuple[Setting, ...], values: Mapping[str, Any]) -> None:
    for setting in settings:
        for layer in _layers(owner, setting.layer):
            if values[setting.field] is not None and not hasattr(layer, setting.attribute):
                raise AttributeError(f"{setting.layer} has no {setting.attribute}: Model Garden has changed")
            if values[setting.field] is not None:
                setattr(layer, setting.attribute, values[setting.field])


def _layers(owner: Any, path: str) -> list[Any]:
    """The layers at a path of a recipe; see family.Setting."""
    found = [owner]
    for step in path.split("."):
        kind, _, name = step.rpartition(":")
        if kind == "layer":
            found = [model.get_layer(name) for model in found]
        elif kind == "class":
            found = [layer for model in found for layer in model.layers if type(layer).__name__ == name]
        else:
            attribute, _, index = step.removesuffix("]").partition("[")
            found = [getattr(layer, attribute) for layer in found]
            if step.endswith("[]"):
                found = [item for items in found for item in items]
            elif index:
                found = [items[int(index)] for items in found]
    return found


@contextmanager
def _left_out(layers: list[Any]) -> Iterator[None]:
    """Lets layers hand on what they get while the network is called, so that their variables are not used."""
    for layer in layers:
        layer.call = lambda inputs: inputs
    try:
        yield
    finally:
        for layer in layers:
            del layer.call


@contextmanager
def _first_input(layer: Any) -> Iterator[list[tf.Tensor]]:
    """Keeps what enters a layer first while the network is called; the layer itself is as before afterwards.

    Keras looks a layer's `call` up on the instance at every call, so a wrapper there sees the tensor that passes.
    """
    seen: list[tf.Tensor] = []
    call = layer.call

    def watched(inputs: Any, *args: Any, **kwargs: Any) -> Any:
        if not seen:
            seen.append(inputs[0] if isinstance(inputs, list | tuple) else inputs)
        return call(inputs, *args, **kwargs)

    layer.call = watched
    try:
        yield seen
    finally:
        del layer.call
