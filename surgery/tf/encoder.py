"""A filled encoder: its network is run, its layers are watched for taps, and its blocks are edited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import tensorflow as tf

from surgery.errors import UsageError
from surgery.explanation.architecture import Inference
from surgery.explanation.heads import DenseHead
from surgery.explanation.outputs import BLOCKS, EMBEDDING
from surgery.planning.edits import EditedBlock
from surgery.planning.requests import FUSED, MODEL_GARDEN
from surgery.planning.taps import POSITION, TapAtBlock
from surgery.tables.family import POOLED, POOLED_L2_NORM_EPS, POOLER
from surgery.tables.head import BIAS, HIDDEN_BIAS, HIDDEN_KERNEL, KERNEL
from surgery.tf.activations import ACTIVATIONS, HEAD_ACTIVATIONS
from surgery.tf.edited_blocks import edited_blocks, prune_heads
from surgery.tf.fused import fused
from surgery.tf.layers import Watched, layers_at, passing, watched
from surgery.tf.token_rows import TokenRows


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
        graph: str = MODEL_GARDEN,
        packed: bool = False,
    ) -> dict[str, Any]:
        """Runs the network, or its first `depth` blocks, on int32 [batch, seq] inputs.

        `graph` is the form of its layers, one of requests.GRAPHS; the fused one is for inference only. With `packed`,
        it leaves padding out: rows of padding in the outputs are zeros.

        Returns its outputs by export name, all float32: `pooled_output` [batch, hidden], `sequence_output` and
        `embedding_output` [batch, seq, hidden], `encoder_outputs` as a list of [batch, seq, hidden], and each tap as a
        list with one tensor per tapped block. Where the module normalises its pooled output, `pooler_output` is the
        one before that. With a depth, the blocks after it return their own input.
        """
        recipe, present = self.inference.family.encoder, self.inference.outputs
        blocks = layers_at(self.network, recipe.blocks)
        shared = self.inference.family.repeated is not None
        absent = [optional.layer for name, optional in recipe.optional.items() if name not in present.names]
        (mask,) = (inputs[anchor.name] for anchor in self.inference.inputs if anchor.table is None)
        rows = TokenRows(mask, packed=packed)
        with ExitStack() as stack:
            if graph == FUSED:
                stack.enter_context(fused(self.network, blocks, rows))
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
        outputs |= self._pooled(outputs)
        outputs[EMBEDDING] = entered.inputs[0]
        if self.edited:
            outputs[BLOCKS] = [*outputs[BLOCKS][: present.entry(0)], *own]
        for tap in taps:
            passed = seen[tap.layer_path, 0 if shared else tap.block]
            tensors = passed.inputs if tap.row.side == "input" else passed.outputs
            tensor = tensors[tap.block if shared else 0]
            if tensor.shape.rank == 2:  # rows of tokens; an edit may have left fewer heads than the module has
                *_, size = tap.offer.shape(self.inference)
                tensor = rows.placed(tensor, size if len(tap.offer.axes) > 3 else None)
            outputs.setdefault(tap.name, []).append(tensor)
        return self._without_padding(outputs, taps, rows) if packed else outputs

    def _without_padding(
        self, outputs: Mapping[str, Any], taps: Sequence[TapAtBlock], rows: TokenRows
    ) -> dict[str, Any]:
        """The outputs with zeros at padding, on every axis that counts positions."""
        axes = {name: self.inference.family.output_axes(name) for name in outputs}
        axes |= {tap.name: tap.offer.axes for tap in taps}
        places = {name: [n for n, axis in enumerate(axes[name]) if axis == POSITION] for name in outputs}
        return {
            name: tf.nest.map_structure(partial(rows.shown, axes=places[name]), value)
            for name, value in outputs.items()
        }

    def _pooled(self, outputs: Mapping[str, Any]) -> dict[str, tf.Tensor]:
        """The normalised pooled output and the pooler's own, where the module normalises; else none."""
        epsilon = self.inference.architecture.values.get(POOLED_L2_NORM_EPS)
        if epsilon is None or POOLED not in outputs:
            return {}
        return {POOLER: outputs[POOLED], POOLED: tf.math.l2_normalize(outputs[POOLED], axis=-1, epsilon=epsilon)}

    def submodel(self, name: str, sequence_output: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
        """Logits of a sub-model, float32 [batch, positions, vocab].

        `sequence_output` is float32 [batch, seq, hidden], `positions` int32 [batch, positions].
        """
        return self.submodels[name](sequence_output, positions)

    def head(self, encoded: Mapping[str, Any]) -> dict[str, tf.Tensor]:
        """The outputs of the head that is kept, float32 [batch, labels], from the encoder's outputs by name."""
        head = self.inference.head
        assert isinstance(head, DenseHead), "no other head is kept"
        if head.hidden is None:
            taken = encoded.get(POOLER, encoded[POOLED])
        else:
            first = tf.matmul(encoded["sequence_output"][:, 0], self.variables[HIDDEN_KERNEL])
            taken = ACTIVATIONS[head.hidden.activation](tf.nn.bias_add(first, self.variables[HIDDEN_BIAS]))
        logits = tf.matmul(taken, self.variables[KERNEL])
        if head.bias is not None:
            logits = tf.nn.bias_add(logits, self.variables[BIAS])
        return {name: HEAD_ACTIVATIONS[activation](logits) for name, activation in head.outputs.items()}


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
