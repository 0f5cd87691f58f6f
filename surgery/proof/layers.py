"""The layers of BERT in numpy, written out from the papers. They compute in the precision of their weights.

Attention is that of Vaswani et al. (arXiv:1706.03762), the post-norm block that of Devlin et al. (arXiv:1810.04805).
They are written by hand because the expected outputs of a checkpoint must share no code with the encoder that is
compared with them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from surgery.errors import UnexplainedError

Array = npt.NDArray[Any]
"""Float64, or float32 where the rounding errors of a float32 computation are wanted."""


def gelu(x: Array) -> Array:
    """GELU by the error function (Hendrycks and Gimpel, arXiv:1606.08415)."""
    from scipy.special import erf

    found: Array = 0.5 * x * (1.0 + erf(x / math.sqrt(2.0)))
    return found


def gelu_tanh(x: Array) -> Array:
    """GELU's approximation by tanh, of the same paper."""
    found: Array = 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))
    return found


def relu(x: Array) -> Array:
    """max(x, 0)."""
    return np.maximum(x, 0.0)


ACTIVATIONS: Mapping[str, Callable[[Array], Array]] = {
    "gelu": gelu,
    "gelu_tanh": gelu_tanh,
    "relu": relu,
    "tanh": np.tanh,
}


def activation(name: str) -> Callable[[Array], Array]:
    """The activation of this name. Raises UnexplainedError for an unknown one."""
    if name not in ACTIVATIONS:
        raise UnexplainedError(
            f"computing the reference: the activation {name} is not known; known are {', '.join(ACTIVATIONS)}"
        )
    return ACTIVATIONS[name]


@dataclass(frozen=True, kw_only=True)
class Dense:
    """x @ kernel + bias, over the last axis.

    Attributes:
        kernel: [in, out].
        bias: [out].
    """

    kernel: Array
    bias: Array

    def __call__(self, x: Array) -> Array:
        return x @ self.kernel + self.bias


@dataclass(frozen=True, kw_only=True)
class Norm:
    """Layer normalisation over the last axis (Ba et al., arXiv:1607.06450).

    Attributes:
        gamma: The scale, [hidden].
        beta: The shift, [hidden].
        epsilon: The number added to the variance.
    """

    gamma: Array
    beta: Array
    epsilon: float

    def __call__(self, x: Array) -> Array:
        centred = x - x.mean(-1, keepdims=True)
        found: Array = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + self.epsilon) * self.gamma + self.beta
        return found


@dataclass(frozen=True, kw_only=True)
class Block:
    """A post-norm transformer block: it normalises its sums.

    Attributes:
        heads: Number of attention heads.
        mask_adder: The number added to the logits of padding.
        activation: The function between the two layers of the feed-forward network.
        query: Projection to the queries of all heads.
        key: Projection to the keys of all heads.
        value: Projection to the values of all heads.
        attention_output: Projection of the joined heads.
        attention_norm: Norm of the sum after the attention.
        intermediate: First layer of the feed-forward network.
        output: Second layer of the feed-forward network.
        output_norm: Norm of the sum after the feed-forward network.
    """

    heads: int
    mask_adder: float
    activation: Callable[[Array], Array]
    query: Dense
    key: Dense
    value: Dense
    attention_output: Dense
    attention_norm: Norm
    intermediate: Dense
    output: Dense
    output_norm: Norm

    def run(self, states: Sequence[Array], masks: Sequence[Array]) -> list[dict[str, Array]]:
        """The tensors of the block for each batch, by the names of the taps, and its output as "block_output".

        `states` and the outputs are [batch, seq, hidden]; `masks` are [batch, seq] of the same dtype, 0 on padding.

        All layers but attention treat each token alone, so they compute the tokens of all batches in one product.
        Numpy's BLAS wakes its threads for each product and waits for them: while other processes use the cores, that
        takes milliseconds, and one product per row of each batch took ten times as long as the arithmetic.
        """
        x = np.concatenate([state.reshape(-1, state.shape[-1]) for state in states])
        tokens = {name: getattr(self, name)(x) for name in ("query", "key", "value")}
        attended, context = attend(tokens, masks, self.heads, self.mask_adder)
        tokens["attention_output"] = self.attention_output(context)
        tokens["attention_norm"] = self.attention_norm(x + tokens["attention_output"])
        tokens["intermediate_preactivation"] = self.intermediate(tokens["attention_norm"])
        tokens["intermediate"] = self.activation(tokens["intermediate_preactivation"])
        tokens["ffn_output"] = self.output(tokens["intermediate"])
        tokens["block_output"] = self.output_norm(tokens["attention_norm"] + tokens["ffn_output"])
        return with_tokens(attended, tokens, masks)


def attend(
    tokens: dict[str, Array], masks: Sequence[Array], heads: int, mask_adder: float
) -> tuple[list[dict[str, Array]], Array]:
    """Attention for each batch, and the joined heads of all batches' tokens, [tokens, heads * size].

    `tokens` has "query", "key" and "value" of all batches' tokens, [tokens, heads * size], which get a head axis here.
    Logits and probabilities are [batch, heads, seq, seq], the context is [batch, seq, heads, size].
    """
    for name in ("query", "key", "value"):
        tokens[name] = tokens[name].reshape(len(tokens[name]), heads, -1)
    projected = (_by_batch(tokens[name], masks) for name in ("query", "key", "value"))
    attended = [
        _attend(query, key, value, mask, mask_adder) for query, key, value, mask in zip(*projected, masks, strict=True)
    ]
    joined = [found["attention_context"] for found in attended]
    return attended, np.concatenate([x.reshape(-1, x.shape[-2] * x.shape[-1]) for x in joined])


def with_tokens(
    attended: list[dict[str, Array]], tokens: Mapping[str, Array], masks: Sequence[Array]
) -> list[dict[str, Array]]:
    """The tensors of each batch, with its part of the tensors that were computed for all tokens at once."""
    for name, values in tokens.items():
        for found, part in zip(attended, _by_batch(values, masks), strict=True):
            found[name] = part
    return attended


def _attend(query: Array, key: Array, value: Array, mask: Array, mask_adder: float) -> dict[str, Array]:
    """The tensors of attention for a batch by the names of the taps. The first three are [batch, seq, heads, size]."""
    query, key, value = (x.swapaxes(1, 2) for x in (query, key, value))
    logits = query @ key.swapaxes(-1, -2) / math.sqrt(query.shape[-1])
    masked = logits + mask_adder * (1.0 - mask[:, None, None, :])
    shares = np.exp(masked - masked.max(-1, keepdims=True))
    shares /= shares.sum(-1, keepdims=True)
    return {
        "attention_logits": logits,
        "attention_probs": shares,
        "attention_context": (shares @ value).swapaxes(1, 2),
    }


def _by_batch(tokens: Array, masks: Sequence[Array]) -> list[Array]:
    """The tokens of all batches, [tokens, ...], as [batch, seq, ...] for each batch."""
    parts = np.split(tokens, np.cumsum([mask.size for mask in masks])[:-1])
    return [part.reshape(*mask.shape, *part.shape[1:]) for part, mask in zip(parts, masks, strict=True)]
