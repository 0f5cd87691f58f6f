"""The layers of BERT in numpy, written out from the papers. They compute in the precision of their weights.

Attention is that of Vaswani et al. (arXiv:1706.03762), the post-norm block that of Devlin et al. (arXiv:1810.04805).
They are written by hand because the expected outputs of a checkpoint must share no code with the encoder that is
compared with them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
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


ACTIVATIONS: Mapping[str, Callable[[Array], Array]] = {"gelu": gelu, "gelu_tanh": gelu_tanh, "relu": relu}


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

    def run(self, x: Array, mask: Array) -> dict[str, Array]:
        """The tensors of a block by the names of the taps, and its output [batch, seq, hidden] as "block_output".

        `x` is [batch, seq, hidden]; `mask` is [batch, seq] of the same dtype, 0 on padding.
        """
        found = {name: self._split(getattr(self, name)(x)) for name in ("query", "key", "value")}
        query, key, value = (found[name].swapaxes(1, 2) for name in ("query", "key", "value"))
        found["attention_logits"] = query @ key.swapaxes(-1, -2) / math.sqrt(query.shape[-1])
        masked = found["attention_logits"] + self.mask_adder * (1.0 - mask[:, None, None, :])
        shares = np.exp(masked - masked.max(-1, keepdims=True))
        found["attention_probs"] = shares / shares.sum(-1, keepdims=True)
        found["attention_context"] = (found["attention_probs"] @ value).swapaxes(1, 2)
        found["attention_output"] = self.attention_output(found["attention_context"].reshape(*x.shape[:2], -1))
        found["attention_norm"] = self.attention_norm(x + found["attention_output"])
        found["intermediate_preactivation"] = self.intermediate(found["attention_norm"])
        found["intermediate"] = self.activation(found["intermediate_preactivation"])
        found["ffn_output"] = self.output(found["intermediate"])
        found["block_output"] = self.output_norm(found["attention_norm"] + found["ffn_output"])
        return found

    def _split(self, x: Array) -> Array:
        """[batch, seq, heads * size] to [batch, seq, heads, size]."""
        return x.reshape(x.shape[0], x.shape[1], self.heads, -1)
