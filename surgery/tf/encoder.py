"""Builds the Model Garden encoder that a recipe describes. Its variables are created with the module's weights.

Keras would draw a hundred million random numbers only to have them overwritten. A variable creator gives each new
variable its value and its target's name instead, and thereby also proves that every target is filled exactly once.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import tensorflow as tf
import tf_keras

from surgery.errors import SurgeryError, UnexplainedError, UsageError
from surgery.explanation.architecture import Architecture, Inference
from surgery.explanation.outputs import BLOCKS, EMBEDDING
from surgery.export.weights import Weights
from surgery.planning.edits import EditedBlock
from surgery.planning.taps import TapAtBlock
from surgery.tables.recipe import Activation, BlockLayers, Constant, LayerClass, Setting
from surgery.tf.edited_blocks import edited_blocks, prune_heads
from surgery.tf.layers import Watched, layers_at, passing, watched

SCOPE = "encoder"
"""The network's name, which is not part of its variables' names."""


def gelu(x: tf.Tensor) -> tf.Tensor:
    """GELU by the error function."""
    return tf_keras.activations.gelu(x, approximate=False)


def gelu_tanh(x: tf.Tensor) -> tf.Tensor:
    """GELU's approximation by tanh, which BERT's own code uses."""
    return tf_keras.activations.gelu(x, approximate=True)


ACTIVATIONS = {"gelu": gelu, "gelu_tanh": gelu_tanh, "relu": tf_keras.activations.relu}


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """A filled encoder.

    Attributes:
        inference: How the module is explained.
        network: Model Garden's encoder network.
        submodels: The layers of its sub-models by name, such as "mlm".
        variables: Its variables by target, in the order of their creation.
        edited: Its blocks as edits left them; empty without edits.
    """

    inference: Inference
    network: Any
    submodels: Mapping[str, Any]
    variables: Mapping[str, tf.Variable]
    edited: tuple[EditedBlock, ...] = ()

    @property
    def added(self) -> list[tf.Variable]:
        """Variables of the layers that edits have added. They exist after the first trace."""
        layers = [layer for block in self.edited for layer in (*block.inserted, block.replaced) if layer is not None]
        return list({id(v): v for layer in layers for v in getattr(layer, "weights", ())}.values())

    def encode(
        self,
        inputs: Mapping[str, tf.Tensor],
        *,
        training: bool,
        taps: Sequence[TapAtBlock] = (),
        depth: int | None = None,
    ) -> dict[str, Any]:
        """Runs the network, or its first `depth` blocks, on int32 [batch, seq] inputs.

        Returns its outputs by export name, all float32: `pooled_output` [batch, hidden], `sequence_output` and
        `embedding_output` [batch, seq, hidden], `encoder_outputs` as a list of [batch, seq, hidden], and each tap as a
        list with one tensor per tapped block. With a depth, the blocks after it return their own input.
        """
        recipe, present = self.inference.family.encoder, self.inference.outputs
        blocks = layers_at(self.network, recipe.blocks)
        shared = self.inference.family.repeated is not None
        absent = [optional.layer for name, optional in recipe.optional.items() if name not in present.names]
        with ExitStack() as stack:
            # A shallower encoder has no pooled output of its own: the source never pools an inner block.
            unused = [] if depth is None else [optional.layer for optional in recipe.optional.values()]
            for path in dict.fromkeys([*absent, *unused]):
                stack.enter_context(passing(layers_at(self.network, path)))
            returns = recipe.block_returns
            own: list[Any] = []
            if self.edited:
                own = stack.enter_context(edited_blocks(blocks, self.edited, shared=shared, returns=returns))
            if depth is not None:
                later, first = (blocks, depth) if shared else (blocks[depth:], 0)
                stack.enter_context(passing(later, first=first, returns=returns))
            entered = stack.enter_context(watched(blocks[0]))
            seen: dict[tuple[str, int], Watched] = {}
            for tap in taps:
                owner = 0 if shared else tap.block
                if (tap.layer_path, owner) not in seen:
                    (layer,) = layers_at(blocks[owner], tap.layer_path)
                    seen[tap.layer_path, owner] = stack.enter_context(watched(layer))
            returned = self.network(dict(inputs), training=training)
        outputs = {name: returned[key] for key, name in recipe.outputs.items() if name in present.names}
        outputs[EMBEDDING] = entered.inputs[0]
        if self.edited:
            outputs[BLOCKS] = [*outputs[BLOCKS][: present.entry(0)], *own]
        for tap in taps:
            passed = seen[tap.layer_path, 0 if shared else tap.block]
            tensors = passed.inputs if tap.row.side == "input" else passed.outputs
            outputs.setdefault(tap.name, []).append(tensors[tap.block if shared else 0])
        return outputs

    def submodel(self, name: str, sequence_output: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
        """Logits of a sub-model, float32 [batch, positions, vocab].

        `sequence_output` is float32 [batch, seq, hidden], `positions` int32 [batch, positions].
        """
        return self.submodels[name](sequence_output, positions)


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
    return Encoder(inference=inference, network=network, submodels=submodels, variables=variables)


def edit_encoder(encoder: Encoder, edited: tuple[EditedBlock, ...]) -> Encoder:
    """The encoder with its blocks edited.

    The result takes over the network of `encoder`, which must not be used afterwards. Raises UsageError for a layer
    that does not return the shape and dtype that it takes.
    """
    recipe = encoder.inference.family.encoder
    hidden = encoder.inference.architecture["hidden_size"]
    for layer in (layer for block in edited for layer in (*block.inserted, block.replaced) if layer is not None):
        states = tf.zeros([2, 3, hidden])
        returned = layer(states)
        if getattr(returned, "shape", None) != states.shape or returned.dtype != states.dtype:
            raise UsageError(
                f"running {getattr(layer, 'name', layer)} on float32 [2, 3, {hidden}]: expected the same shape and "
                f"dtype, found {getattr(returned, 'dtype', type(returned).__name__)} {getattr(returned, 'shape', '')}"
            )
    variables = dict(encoder.variables)
    if any(block.pruned for block in edited):
        assert recipe.attention is not None, "apply_edits refuses to prune where the recipe has no attention"
        prune_heads(encoder.network, variables, edited, recipe.blocks, recipe.attention)
    for number, block in enumerate(edited):
        if block.replaced is not None and encoder.inference.family.repeated is None:
            claims = [claim for claim in encoder.inference.claims if claim.holes.get("layer") == str(number)]
            gone = {target for claim in claims for target in claim.targets}
            variables = {target: variable for target, variable in variables.items() if target not in gone}
    return replace(encoder, variables=variables, edited=edited)


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


def _apply(owner: Any, settings: tuple[Setting, ...], values: Mapping[str, Any]) -> None:
    for setting in settings:
        for layer in layers_at(owner, setting.layer):
            if values[setting.field] is not None and not hasattr(layer, setting.attribute):
                raise AttributeError(f"{setting.layer} has no {setting.attribute}: Model Garden has changed")
            if values[setting.field] is not None:
                setattr(layer, setting.attribute, values[setting.field])
