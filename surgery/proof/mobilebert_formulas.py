"""MobileBERT in numpy (Sun et al., arXiv:2004.02984), with its paper's NoNorm: an elementwise affine map."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from surgery.proof.layers import Array, Dense, activation, attend, with_tokens
from surgery.proof.named_weights import NamedWeights, Precision, Run, in_both
from surgery.tables.publisher import MobileBertNames


@dataclass(frozen=True, kw_only=True)
class Affine:
    """NoNorm: x * gamma + beta.

    Attributes:
        gamma: The scale, [hidden].
        beta: The shift, [hidden].
    """

    gamma: Array
    beta: Array

    def __call__(self, x: Array) -> Array:
        return x * self.gamma + self.beta


@dataclass(frozen=True, kw_only=True)
class Bottleneck:
    """A dense layer and its norm.

    Attributes:
        dense: The dense layer.
        norm: The norm of its output, or of the sum of its output and another tensor.
    """

    dense: Dense
    norm: Affine

    def __call__(self, x: Array) -> Array:
        return self.norm(self.dense(x))


@dataclass(frozen=True, kw_only=True)
class FeedForward:
    """One of the stacked feed-forward networks of a block.

    Attributes:
        intermediate: Its first layer.
        output: Its second layer, whose norm is that of the sum with the network's input.
    """

    intermediate: Dense
    output: Bottleneck


@dataclass(frozen=True, kw_only=True)
class Block:
    """A narrow block between bottlenecks.

    Attributes:
        heads: Number of attention heads.
        mask_adder: The number added to the logits of padding.
        activation: The function between the two layers of a feed-forward network.
        bottleneck_input: From the block's input to its narrow width.
        shared_bottleneck: From the block's input to what queries and keys are made of; None where there is none.
        narrow_attention: Whether queries, keys and values are made of the narrowed input.
        query: Projection to the queries of all heads.
        key: Projection to the keys of all heads.
        value: Projection to the values of all heads.
        attention_output: Projection of the joined heads, and the norm of the sum after the attention.
        feed_forwards: The stacked feed-forward networks, in order.
        bottleneck_output: Back to the hidden size, and the norm of the sum with the block's input.
    """

    heads: int
    mask_adder: float
    activation: Callable[[Array], Array]
    bottleneck_input: Bottleneck
    shared_bottleneck: Bottleneck | None
    narrow_attention: bool
    query: Dense
    key: Dense
    value: Dense
    attention_output: Bottleneck
    feed_forwards: Sequence[FeedForward]
    bottleneck_output: Bottleneck

    def run(self, states: Sequence[Array], masks: Sequence[Array]) -> list[dict[str, Array]]:
        """The tensors of the block for each batch, by the names of the taps, and its output as "block_output".

        `states` and the outputs are [batch, seq, hidden]; `masks` are [batch, seq] of the same dtype, 0 on padding.
        """
        x = np.concatenate([state.reshape(-1, state.shape[-1]) for state in states])
        narrow = self.bottleneck_input(x)
        tokens = {"bottleneck_input": narrow}
        asking, asked = (narrow, narrow) if self.narrow_attention else (x, x)
        if self.shared_bottleneck is not None:
            asking = tokens["kq_shared_bottleneck"] = self.shared_bottleneck(x)
        tokens |= {"query": self.query(asking), "key": self.key(asking), "value": self.value(asked)}
        attended, context = attend(tokens, masks, self.heads, self.mask_adder)
        tokens["attention_output"] = self.attention_output.dense(context)
        entering = tokens["attention_norm"] = self.attention_output.norm(narrow + tokens["attention_output"])
        for number, network in enumerate(self.feed_forwards):
            inside = tokens[f"ffn_{number}_intermediate"] = self.activation(network.intermediate(entering))
            output = tokens[f"ffn_{number}_output"] = network.output.dense(inside)
            entering = tokens[f"ffn_{number}_norm"] = network.output.norm(entering + output)
            tokens |= {"intermediate": inside, "ffn_output": output}  # the last one's, in the end
        tokens["bottleneck_output"] = self.bottleneck_output.dense(entering)
        tokens["block_output"] = self.bottleneck_output.norm(x + tokens["bottleneck_output"])
        return with_tokens(attended, tokens, masks)


def embed(weights: NamedWeights, names: MobileBertNames, values: Mapping[str, Any], runs: Sequence[Run]) -> list[Array]:
    """The input of block 0 for each run, [batch, seq, hidden].

    Each token's word embedding stands between those of the next and the previous token, zeros where there is none.
    """
    words, positions, types = (weights.read(name) for name in (names.words, names.positions, names.types))
    denses = in_both(runs, partial(weights.dense, names.embedding_projection))
    norms = in_both(runs, lambda dtype: _affine(weights, names.embedding_norm, dtype))
    found = []
    for batch, dtype in runs:
        ids, kinds = batch.inputs["input_word_ids"], batch.inputs["input_type_ids"]
        own = words[ids].astype(dtype)
        none = np.zeros_like(own[:, :1])
        after, before = np.concatenate([own[:, 1:], none], 1), np.concatenate([none, own[:, :-1]], 1)
        joined = denses[dtype](np.concatenate([after, own, before], -1))
        found.append(norms[dtype](joined + positions[: ids.shape[1]].astype(dtype) + types[kinds].astype(dtype)))
    return found


def read_block(
    weights: NamedWeights, names: MobileBertNames, number: int, values: Mapping[str, Any], dtype: Precision
) -> Block:
    """The block of this number."""
    scope = names.block.format(number)
    bottleneck = partial(_bottleneck, weights, names, dtype=dtype)
    stacked = range(values["num_feedforward_networks"] - 1)
    networks = [*(scope + names.stacked.format(n) for n in stacked), scope]
    shared = values["key_query_shared_bottleneck"]
    return Block(
        heads=values["num_attention_heads"],
        mask_adder=values["attention_mask_adder"],
        activation=activation(values["hidden_act"]),
        bottleneck_input=bottleneck(scope + names.bottleneck_input),
        shared_bottleneck=bottleneck(scope + names.shared_bottleneck) if shared else None,
        narrow_attention=values["use_bottleneck_attention"],
        query=weights.dense(scope + names.query, dtype),
        key=weights.dense(scope + names.key, dtype),
        value=weights.dense(scope + names.value, dtype),
        attention_output=bottleneck(scope + names.attention_output),
        feed_forwards=[
            FeedForward(
                intermediate=weights.dense(network + names.intermediate, dtype),
                output=bottleneck(network + names.output),
            )
            for network in networks
        ],
        bottleneck_output=bottleneck(scope + names.bottleneck_output),
    )


def pool(
    weights: NamedWeights,
    names: MobileBertNames,
    values: Mapping[str, Any],
    states: Sequence[Array],
    runs: Sequence[Run],
) -> list[Array]:
    """The pooled output of each run, [batch, hidden]: the first token, or a dense layer with tanh on it."""
    if not values["classifier_activation"]:
        return [x[:, 0] for x in states]
    poolers = in_both(runs, partial(weights.dense, names.pooler))
    return [np.tanh(poolers[dtype](x[:, 0])) for x, (_, dtype) in zip(states, runs, strict=True)]


def _bottleneck(weights: NamedWeights, names: MobileBertNames, name: str, *, dtype: Precision) -> Bottleneck:
    stem = name + names.spelling.separator
    return Bottleneck(dense=weights.dense(stem + names.dense, dtype), norm=_affine(weights, stem + names.norm, dtype))


def _affine(weights: NamedWeights, name: str, dtype: Precision) -> Affine:
    gamma, beta = weights.scale_and_shift(name, dtype=dtype)
    return Affine(gamma=gamma, beta=beta)
