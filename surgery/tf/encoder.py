"""Builds the Model Garden encoder that a recipe describes; its variables are born with the module's weights.

Keras would draw a hundred million random numbers only to have them overwritten. A variable creator hands each new
variable its value instead, under its clean name, and so also proves that every target is filled exactly once.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
import tf_keras

from surgery.errors import SurgeryError, UnexplainedError, UsageError
from surgery.explanation.architecture import Inference
from surgery.export.weights import Weights
from surgery.planning.edits import Place
from surgery.planning.outputs import BLOCKS
from surgery.planning.taps import Tapped
from surgery.tables.recipe import Activation, BlockLayers, Constant, LayerClass, Setting
from surgery.tf.edited_blocks import edited_blocks, prune_heads
from surgery.tf.layers import Watched, layers_at, passing, watched

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
    """A filled encoder: its network, its sub-models by name ("mlm"), and its variables by target in creation order."""

    inference: Inference
    network: Any
    submodels: Mapping[str, Any]
    variables: Mapping[str, tf.Variable]
    places: tuple[Place, ...] = ()

    @property
    def added(self) -> list[tf.Variable]:
        """Variables of layers that edits have put in; they are there after the first trace."""
        layers = [layer for place in self.places for layer in (*place.inserted, place.replaced) if layer is not None]
        return list({id(v): v for layer in layers for v in getattr(layer, "weights", ())}.values())

    def encode(
        self,
        inputs: Mapping[str, tf.Tensor],
        *,
        training: bool,
        taps: Sequence[Tapped] = (),
        depth: int | None = None,
    ) -> dict[str, Any]:
        """Runs the network, or its first `depth` blocks, on int32 [batch, seq] inputs.

        Returns its outputs under their export names: `pooled_output` [batch, hidden], `sequence_output` and
        `embedding_output` [batch, seq, hidden], `encoder_outputs` as a list of the latter, and each tap as a list, by
        block; all float32. With a depth, blocks that have not run hand on what they got.
        """
        recipe, present = self.inference.family.encoder, self.inference.output_names
        blocks = layers_at(self.network, recipe.blocks)
        shared = self.inference.family.repeated is not None
        absent = [optional.layer for name, optional in recipe.optional.items() if name not in present]
        with ExitStack() as stack:
            # A shallower encoder has no pooled output of its own: the source never pools an inner block.
            unused = [] if depth is None else [optional.layer for optional in recipe.optional.values()]
            for path in dict.fromkeys([*absent, *unused]):
                stack.enter_context(passing(layers_at(self.network, path)))
            returns = recipe.block_returns
            own: list[Any] = []
            if self.places:
                own = stack.enter_context(edited_blocks(blocks, self.places, shared=shared, returns=returns))
            if depth is not None:
                later, first = (blocks, depth) if shared else (blocks[depth:], 0)
                stack.enter_context(passing(later, first=first, returns=returns))
            entered = stack.enter_context(watched(blocks[0]))
            seen: dict[tuple[str, int], Watched] = {}
            for tap in taps:
                owner = 0 if shared else tap.layer
                if (tap.layer_path, owner) not in seen:
                    (layer,) = layers_at(blocks[owner], tap.layer_path)
                    seen[tap.layer_path, owner] = stack.enter_context(watched(layer))
            found = self.network(dict(inputs), training=training)
        outputs = {name: found[key] for key, name in recipe.outputs.items() if name in present}
        outputs["embedding_output"] = entered.inputs[0]
        if self.places:
            outputs[BLOCKS] = [*outputs[BLOCKS][: self.inference.family.lists[BLOCKS]], *own]
        for tap in taps:
            passed = seen[tap.layer_path, 0 if shared else tap.layer]
            tensors = passed.inputs if tap.row.side == "input" else passed.outputs
            outputs.setdefault(tap.name, []).append(tensors[tap.layer if shared else 0])
        return outputs

    def submodel(self, name: str, sequence_output: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
        """Logits [batch, positions, vocab] of a sub-model at int32 [batch, positions] of the sequence output."""
        return self.submodels[name](sequence_output, positions)


def build_encoder(inference: Inference, weights: Weights) -> Encoder:
    """The encoder with every weight in its place.

    Raises UnexplainedError when the encoder wants a weight that the module does not have, the other way round, or in
    another shape.
    """
    recipe, architecture = inference.family.encoder, inference.architecture
    tokens = tf.zeros([1, 1], tf.int32)
    submodels = {}
    absent = tuple(
        f"{optional.scope}/" for name, optional in recipe.optional.items() if name not in inference.output_names
    )
    with _born_with_weights(recipe.renames, weights, absent) as variables:
        network = _load(recipe.network)(**_argument(recipe.arguments, architecture.values), name=SCOPE)
        outputs = network({anchor.name: tokens for anchor in inference.family.inputs}, training=False)
        for name, submodel in recipe.submodels.items():
            if name in inference.submodels:
                layer = _load(submodel.layer)(
                    embedding_table=network.get_embedding_table(),
                    activation=_activation(architecture[submodel.activation]),
                    name=submodel.scope,
                )
                layer(outputs["sequence_output"], tokens)
                _apply(layer, submodel.settings, architecture.values)
                submodels[name] = layer
    _apply(network, recipe.settings, architecture.values)
    unfilled = [a for target, a in weights.assignments.items() if target not in variables]
    if unfilled:
        raise UnexplainedError(
            "filling the encoder: it has no place for these weights of the module",
            details=tuple(f"{a.variable.name} (as {a.target})" for a in unfilled),
        )
    return Encoder(inference, network, submodels, variables)


def edit_encoder(encoder: Encoder, places: tuple[Place, ...]) -> Encoder:
    """The encoder with its blocks edited. It takes over the network of the one that is given, which is then spent."""
    recipe = encoder.inference.family.encoder
    hidden = encoder.inference.architecture["hidden_size"]
    for layer in (layer for place in places for layer in (*place.inserted, place.replaced) if layer is not None):
        given = tf.zeros([2, 3, hidden])
        returned = layer(given)
        if getattr(returned, "shape", None) != given.shape or returned.dtype != given.dtype:
            raise UsageError(
                f"running {getattr(layer, 'name', layer)} on float32 [2, 3, {hidden}]: expected the same shape and "
                f"dtype, found {getattr(returned, 'dtype', type(returned).__name__)} {getattr(returned, 'shape', '')}"
            )
    variables = dict(encoder.variables)
    if any(place.pruned for place in places):
        assert recipe.attention is not None, "the edit was refused otherwise"
        prune_heads(encoder.network, variables, places, recipe.blocks, recipe.attention)
    for number, place in enumerate(places):
        if place.replaced is not None and encoder.inference.family.repeated is None:
            claims = [claim for claim in encoder.inference.claims if claim.holes.get("layer") == str(number)]
            gone = {target for claim in claims for target in claim.targets}
            variables = {target: variable for target, variable in variables.items() if target not in gone}
    return Encoder(encoder.inference, encoder.network, encoder.submodels, variables, places)


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
        case Constant(value=value):
            return value
        case Activation(field=field):
            return _activation(values[field])
        case LayerClass(path=path):
            return _load(path)
        case BlockLayers(layer=layer, arguments=arguments):
            made = []
            for block in range(values["num_hidden_layers"]):
                own = _argument(arguments, values)
                own["name"] = own["name"].format(layer=block)
                made.append(_load(layer.path)(**own))
            return made
        case _:
            return {name: _argument(argument, values) for name, argument in given.items()}


def _activation(name: str) -> Any:
    if name not in ACTIVATIONS:
        raise UnexplainedError(
            f"building the encoder: the activation {name} is not known; known are {', '.join(ACTIVATIONS)}"
        )
    return ACTIVATIONS[name]


def _load(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def _apply(owner: Any, settings: tuple[Setting, ...], values: Mapping[str, Any]) -> None:
    for setting in settings:
        for layer in layers_at(owner, setting.layer):
            if values[setting.field] is not None and not hasattr(layer, setting.attribute):
                raise AttributeError(f"{setting.layer} has no {setting.attribute}: Model Garden has changed")
            if values[setting.field] is not None:
                setattr(layer, setting.attribute, values[setting.field])
