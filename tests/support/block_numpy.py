"""One transformer block in float64 numpy, step by step: each inner tensor from those before it and the block's weights.

Every step takes what an export returned for the steps before, so a tensor that was taken at the wrong place shows under
its own name. The names of an export's weights are written out here a second time; the arithmetic is that of the papers.
Nothing of the package is in it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import erf

Array = np.ndarray
Tensors = Mapping[str, Array]

ACTIVATIONS: Mapping[str, Callable[[Array], Array]] = {
    "gelu": lambda x: x * 0.5 * (1.0 + erf(x / math.sqrt(2.0))),
    "gelu_tanh": lambda x: x * 0.5 * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3))),
    "relu": lambda x: np.maximum(x, 0.0),
}


@dataclass(frozen=True)
class Block:
    """A block's weights: all of an export's, of which it uses those below `scope`, in float64."""

    weights: Tensors
    scope: str
    activation: str
    epsilon: float = 1e-12

    def act(self, x: Array) -> Array:
        return ACTIVATIONS[self.activation](x)

    def weight(self, name: str) -> Array:
        return self.weights[f"{self.scope}/{name}"]

    def has(self, name: str) -> bool:
        return f"{self.scope}/{name}" in self.weights

    def dense(self, x: Array, name: str) -> Array:
        """x @ kernel + bias; heads, on either side, are joined."""
        return x @ self.weight(f"{name}/kernel").reshape(x.shape[-1], -1) + self.weight(f"{name}/bias").ravel()

    def norm(self, x: Array, name: str) -> Array:
        centred = x - x.mean(-1, keepdims=True)
        return self.affine(centred / np.sqrt((centred**2).mean(-1, keepdims=True) + self.epsilon), name)

    def affine(self, x: Array, name: str) -> Array:
        """The norm that is none, of MobileBERT's paper; and the last step of one that is."""
        return x * self.weight(f"{name}/gamma") + self.weight(f"{name}/beta")


def attention(block: Block, scope: str, asking: Array, asked: Array, mask: Array, found: Tensors) -> dict[str, Array]:
    """Attention whose queries and keys are made of `asking`, its values of `asked`; `mask` [batch, seq]."""
    heads, size = block.weight(f"{scope}/query/bias").shape
    split = (*mask.shape, heads, size)
    logits = np.einsum("bfnd,btnd->bnft", found["query"], found["key"]) / math.sqrt(size)
    if block.has(f"{scope}/pre_softmax_weight"):
        logits = np.einsum("bnft,nm->bmft", logits, block.weight(f"{scope}/pre_softmax_weight"))
    kept = np.where(mask[:, None, None, :] != 0, found["attention_logits"], -np.inf)
    shares = np.exp(kept - kept.max(-1, keepdims=True))
    steps = {
        "query": block.dense(asking, f"{scope}/query").reshape(split),
        "key": block.dense(asking, f"{scope}/key").reshape(split),
        "value": block.dense(asked, f"{scope}/value").reshape(split),
        "attention_logits": logits,
        "attention_probs": shares / shares.sum(-1, keepdims=True),
    }
    weighing = found["attention_probs"]
    if block.has(f"{scope}/post_softmax_weight"):
        weighing = found["attention_probs_mixed"]
        mixing = block.weight(f"{scope}/post_softmax_weight")
        steps["attention_probs_mixed"] = np.einsum("bnft,nm->bmft", found["attention_probs"], mixing)
    joined = found["attention_context"].reshape(*mask.shape, -1)
    return {
        **steps,
        "attention_context": np.einsum("bnft,btnd->bfnd", weighing, found["value"]),
        "attention_output": block.dense(joined, f"{scope}/attention_output"),
    }


def post_norm(block: Block, x: Array, mask: Array, found: Tensors) -> dict[str, Array]:
    """BERT's block, and ALBERT's: sums are normed."""
    middle = found["attention_norm"]
    return {
        **attention(block, "self_attention", x, x, mask, found),
        "attention_norm": block.norm(x + found["attention_output"], "self_attention_layer_norm"),
        "intermediate_preactivation": block.dense(middle, "intermediate"),
        "intermediate": block.act(found["intermediate_preactivation"]),
        "ffn_output": block.dense(found["intermediate"], "output"),
        "block_output": block.norm(middle + found["ffn_output"], "output_layer_norm"),
    }


def pre_norm(block: Block, x: Array, mask: Array, found: Tensors) -> dict[str, Array]:
    """BERT's block where what enters a half is normed, and sums are not."""
    middle, entering = found["attention_norm"], block.norm(x, "self_attention_layer_norm")
    return {
        **attention(block, "self_attention", entering, entering, mask, found),
        "attention_norm": x + found["attention_output"],
        "intermediate_preactivation": block.dense(block.norm(middle, "output_layer_norm"), "intermediate"),
        "intermediate": block.act(found["intermediate_preactivation"]),
        "ffn_output": block.dense(found["intermediate"], "output"),
        "block_output": middle + found["ffn_output"],
    }


def talking_heads(block: Block, x: Array, mask: Array, found: Tensors) -> dict[str, Array]:
    """A block with talking heads and a gated feed-forward."""
    middle = found["attention_norm"]
    return {
        **attention(block, "self_attention", x, x, mask, found),
        "attention_norm": block.norm(x + found["attention_output"], "self_attention_layer_norm"),
        "intermediate_preactivation": block.dense(middle, "feedforward/intermediate_0"),
        "intermediate": block.act(found["intermediate_preactivation"]),
        "gate": block.dense(middle, "feedforward/gate_0"),
        "intermediate_gated": found["intermediate"] * found["gate"],
        "ffn_output": block.dense(found["intermediate_gated"], "feedforward/output_0"),
        "block_output": block.norm(middle + found["ffn_output"], "feedforward/output_layer_norm_0"),
    }


def mobilebert(block: Block, x: Array, mask: Array, found: Tensors, norm: Callable[..., Array]) -> dict[str, Array]:
    """A narrow block between bottlenecks, its feed-forwards stacked; `norm` is Block.norm or Block.affine."""
    steps = {"bottleneck_input": norm(block, block.dense(x, "bottleneck_input/dense"), "bottleneck_input/norm")}
    asking = x
    if block.has("kq_shared_bottleneck/dense/kernel"):
        asking = found["kq_shared_bottleneck"]
        steps["kq_shared_bottleneck"] = norm(
            block, block.dense(x, "kq_shared_bottleneck/dense"), "kq_shared_bottleneck/norm"
        )
    steps |= attention(block, "attention", asking, x, mask, found)
    steps["attention_norm"] = norm(block, found["bottleneck_input"] + found["attention_output"], "attention/norm")
    entering, number = found["attention_norm"], 0
    while block.has(f"ffn_layer_{number}/norm/gamma"):
        scope, name = f"ffn_layer_{number}", f"ffn_{number}"
        steps[f"{name}_intermediate"] = block.act(block.dense(entering, f"{scope}/intermediate_dense"))
        steps[f"{name}_output"] = block.dense(found[f"{name}_intermediate"], f"{scope}/output_dense")
        steps[f"{name}_norm"] = norm(block, entering + found[f"{name}_output"], f"{scope}/norm")
        entering, number = found[f"{name}_norm"], number + 1
    # The names that all families share mean the last of them.
    steps |= {"intermediate": steps[f"{name}_intermediate"], "ffn_output": steps[f"{name}_output"]}
    return {
        **steps,
        "bottleneck_output": block.dense(entering, "bottleneck_output/dense"),
        "block_output": norm(block, x + found["bottleneck_output"], "bottleneck_output/norm"),
    }
