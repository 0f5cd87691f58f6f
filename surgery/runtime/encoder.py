"""Builds the Model Garden encoder that a recipe describes; its variables are born with the module's weights.

Keras would draw a hundred million random numbers only to have them overwritten. A variable creator hands each new
variable its value instead, under its clean name, and so also proves that every target is filled exactly once.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
import tf_keras

from surgery.architecture import Inference
from surgery.errors import SurgeryError, UnexplainedError
from surgery.family import Setting
from surgery.weights import Weights

ACTIVATIONS = {
    "gelu": lambda x: tf_keras.activations.gelu(x, approximate=False),
    "gelu_tanh": lambda x: tf_keras.activations.gelu(x, approximate=True),
    "relu": tf_keras.activations.relu,
}


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
        found = self.network(dict(inputs), training=training)
        return {name: found[key] for key, name in self.inference.family.encoder.outputs.items() if key in found}

    def head(self, name: str, sequence_output: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
        """Logits [batch, positions, vocab] of a head at int32 [batch, positions] of the sequence output."""
        return self.heads[name](sequence_output, positions)


def build_encoder(inference: Inference, weights: Weights) -> Encoder:
    """The encoder with every weight in its place.

    Raises UnexplainedError when the encoder wants a weight that the module does not have, the other way round, or in
    another shape.
    """
    recipe, architecture = inference.family.encoder, inference.architecture
    arguments = {name: architecture[field] for name, field in recipe.arguments.items()}
    for name in recipe.activations:
        arguments[name] = _activation(arguments[name])
    network = _load(recipe.network)(**arguments, **recipe.constants, initializer="zeros")
    _apply(network, recipe.settings, architecture.values, before_build=True)
    tokens = tf.zeros([1, 1], tf.int32)
    heads = {}
    with _born_with_weights(network.name, weights) as variables:
        outputs = network({anchor.name: tokens for anchor in inference.family.inputs}, training=False)
        for name, head in recipe.heads.items():
            if name in inference.heads:
                layer = _load(head.layer)(
                    embedding_table=network.get_embedding_table(),
                    activation=_activation(architecture[head.activation]),
                    initializer="zeros",
                    name=head.scope,
                )
                layer(outputs["sequence_output"], tokens)
                _apply(layer, head.settings, architecture.values, before_build=False)
                heads[name] = layer
    _apply(network, recipe.settings, architecture.values, before_build=False)
    unfilled = [a for target, a in weights.assignments.items() if target not in variables]
    if unfilled:
        raise UnexplainedError(
            "filling the encoder: it has no place for these weights of the module",
            details=tuple(f"{a.variable.name} (as {a.target})" for a in unfilled),
        )
    return Encoder(inference, network, heads, variables)


@contextmanager
def _born_with_weights(scope: str, weights: Weights) -> Iterator[dict[str, tf.Variable]]:
    made: dict[str, tf.Variable] = {}
    refused: list[SurgeryError] = []

    def create(next_creator: Any, **kwargs: Any) -> tf.Variable:
        try:
            return fill(next_creator, kwargs)
        except SurgeryError as error:
            refused.append(error)
            raise

    def fill(next_creator: Any, kwargs: dict[str, Any]) -> tf.Variable:
        path = f"{tf.get_current_name_scope()}/{kwargs.get('name')}"
        target = path.removeprefix(scope + "/")
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


def _activation(name: str) -> Any:
    if name not in ACTIVATIONS:
        raise UnexplainedError(
            f"building the encoder: the activation {name} is not known; known are {', '.join(ACTIVATIONS)}"
        )
    return ACTIVATIONS[name]


def _load(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def _apply(owner: Any, settings: tuple[Setting, ...], values: Mapping[str, Any], *, before_build: bool) -> None:
    for setting in settings:
        if setting.before_build is before_build:
            for layer in _layers(owner, setting.layer):
                if not hasattr(layer, setting.attribute):
                    raise AttributeError(f"{setting.layer} has no {setting.attribute}: Model Garden has changed")
                setattr(layer, setting.attribute, values[setting.field])


def _layers(owner: Any, path: str) -> list[Any]:
    found = [owner]
    for step in path.split("."):
        name = step.removesuffix("[]")
        found = [getattr(layer, name) for layer in found]
        if step.endswith("[]"):
            found = [item for items in found for item in items]
    return found
