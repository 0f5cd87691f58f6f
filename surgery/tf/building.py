"""Builds the Model Garden encoder that a recipe describes. Its variables are created with the module's weights.

Keras would draw a hundred million random numbers only to have them overwritten. A variable creator gives each new
variable its value and its target's name instead, and thereby also proves that every target is filled exactly once.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from surgery.errors import SurgeryError, UnexplainedError
from surgery.explanation.architecture import Architecture, Inference
from surgery.export.weights import Weights
from surgery.tables.head import BIAS, HIDDEN_BIAS, HIDDEN_KERNEL, KERNEL
from surgery.tables.recipe import Activation, BlockLayers, Constant, LayerClass, Setting
from surgery.tf.activations import ACTIVATIONS
from surgery.tf.encoder import Encoder
from surgery.tf.layers import layers_at

SCOPE = "encoder"
"""The network's name, which is not part of its variables' names."""


def build_encoder(inference: Inference, weights: Weights) -> Encoder:
    """Builds the encoder with every weight in its place.

    Raises UnexplainedError when the encoder needs a weight that the module does not have, has no place for a weight of
    the module, or needs it in another shape.
    """
    recipe, architecture = inference.family.encoder, inference.architecture
    tokens = tf.zeros([1, 1], tf.int32)
    submodels = {}
    absent = tuple(
        f"{optional.scope}/" for name, optional in recipe.optional.items() if name not in inference.outputs.names
    )
    with _born_with_weights(recipe.renames, weights, absent) as variables:
        network = _load(recipe.network)(**_argument(recipe.arguments, architecture), name=SCOPE)
        outputs = network({anchor.name: tokens for anchor in inference.inputs}, training=False)
        for name, submodel in recipe.submodels.items():
            if name in inference.submodels:
                layer = _load(submodel.layer)(
                    embedding_table=network.get_embedding_table(),
                    activation=_activation(architecture[submodel.activation]),
                    name=submodel.scope,
                )
                layer(outputs["sequence_output"], tokens)
                _apply(layer, submodel.settings, architecture)
                submodels[name] = layer
        for target in (HIDDEN_KERNEL, HIDDEN_BIAS, KERNEL, BIAS):
            if target in weights:
                shape = weights.assignments[target].shape
                scope, _, name = target.rpartition("/")
                with tf.name_scope(scope):
                    tf.Variable(tf.zeros(shape), shape=shape, name=name)
    _apply(network, recipe.settings, architecture)
    unfilled = [a for target, a in weights.assignments.items() if target not in variables]
    if unfilled:
        raise UnexplainedError(
            "filling the encoder: it has no place for these weights of the module",
            details=tuple(f"{a.variable.name} (as {a.target})" for a in unfilled),
        )
    return Encoder(inference=inference, network=network, submodels=submodels, variables=variables)


@contextmanager
def _born_with_weights(
    renames: tuple[tuple[str, str], ...], weights: Weights, absent: tuple[str, ...]
) -> Iterator[dict[str, tf.Variable]]:
    """Gives every variable that the block creates its weight; yields the variables by target.

    Targets that begin with one of `absent` belong to layers that the module lacks: they are created without a weight.
    """
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
            return next_creator(**kwargs)  # its layer is never called and never saved
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
        # Keras rewrites the message of an error that is raised inside a layer; the original says more.
        if refused:
            raise refused[0] from None
        raise


def _argument(described: Any, architecture: Architecture) -> Any:
    """A constructor argument for this architecture, as a recipe describes it."""
    match described:
        case str(field):
            return architecture[field]
        case Constant(value=value):
            return value
        case Activation(field=field):
            return _activation(architecture[field])
        case LayerClass(path=path):
            return _load(path)
        case BlockLayers(layer=layer, arguments=arguments):
            made = []
            for block in range(architecture.blocks):
                own = _argument(arguments, architecture)
                own["name"] = own["name"].format(layer=block)
                made.append(_load(layer.path)(**own))
            return made
        case _:
            return {name: _argument(argument, architecture) for name, argument in described.items()}


def _activation(name: str) -> Any:
    if name not in ACTIVATIONS:
        raise UnexplainedError(
            f"building the encoder: the activation {name} is not known; known are {', '.join(ACTIVATIONS)}"
        )
    return ACTIVATIONS[name]


def _load(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def _apply(owner: Any, settings: tuple[Setting, ...], architecture: Architecture) -> None:
    """Sets what the constructor has no argument for. A field without a value belongs to a layer that is not run."""
    for setting in settings:
        field = setting.field.field if isinstance(setting.field, Activation) else setting.field
        if architecture.values.get(field) is None:
            continue
        value = _argument(setting.field, architecture)
        for layer in layers_at(owner, setting.layer):
            if not hasattr(layer, setting.attribute):
                raise AttributeError(f"{setting.layer} has no {setting.attribute}: Model Garden has changed")
            setattr(layer, setting.attribute, value)
