"""BERT's forward pass in float64 numpy, from a module's own weights: nothing of the package or of Keras is in it.

The names of each generation are written out here a second time, so that a slip in the weight tables shows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorboard.compat.proto import trackable_object_graph_pb2

Array = np.ndarray


@dataclass(frozen=True)
class Names:
    """Where a generation keeps its weights: scopes of the embeddings, the blocks and the attention's output."""

    scope: str = ""
    words: str = "word_embeddings/embeddings"
    positions: str = "position_embedding/embeddings"
    types: str = "type_embeddings/embeddings"
    norm: str = "embeddings/layer_norm"
    block: str = "transformer/layer_{}/"
    attention_output: str = "self_attention/attention_output"


G1 = Names(
    scope="bert_model/",
    positions="embedding_postprocessor/position_embeddings",
    types="embedding_postprocessor/type_embeddings",
    norm="embedding_postprocessor/layer_norm",
    block="encoder/layer_{}/",
    attention_output="self_attention_output",
)
G2 = Names(attention_output="self_attention_output")
G4 = Names()
G4_V2 = Names(scope="bert_encoder_v2/")


def read_weights(module: Path) -> dict[str, Array]:
    """Every float variable of a TF2 SavedModel by its name, in float64, by the checkpoint's own object graph."""
    reader = tf.train.load_checkpoint(str(module / "variables" / "variables"))
    graph = trackable_object_graph_pb2.TrackableObjectGraph.FromString(
        reader.get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH")
    )
    found = {a.full_name: reader.get_tensor(a.checkpoint_key) for node in graph.nodes for a in node.attributes}
    return {name: np.asarray(value, np.float64) for name, value in found.items() if np.asarray(value).dtype.kind == "f"}


@dataclass(frozen=True)
class Bert:
    """A BERT encoder. `weights` are named as in the module; `heads` and the rest must be known from elsewhere."""

    weights: Mapping[str, Array]
    names: Names
    heads: int
    epsilon: float = 1e-12
    exact_gelu: bool = False
    norm_first: bool = False
    mask_adder: float = -1e9

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs by their export names, float64."""
        states = self.embed(inputs["input_word_ids"], inputs["input_type_ids"])
        outputs = {"embedding_output": states}
        for index in range(self.blocks):
            states = self.block(states, inputs["input_mask"], index)
            outputs[f"encoder_outputs_{index}"] = states
        outputs["sequence_output"] = states
        outputs["pooled_output"] = np.tanh(self.dense(states[:, 0], "pooler_transform"))
        return outputs

    @property
    def blocks(self) -> int:
        return next(
            i for i in range(99) if self.names.scope + self.names.block.format(i) + "output/bias" not in self.weights
        )

    def embed(self, word_ids: Array, type_ids: Array) -> Array:
        """What enters block 0: the normed sum of three tables, widened where the embedding is narrow."""
        words, positions, types = (
            self.weight(name) for name in (self.names.words, self.names.positions, self.names.types)
        )
        summed = words[word_ids] + positions[: word_ids.shape[1]] + types[type_ids]
        states = self.norm(summed, self.names.norm)
        return self.dense(states, "embedding_projection") if self.has("embedding_projection/kernel") else states

    def block(self, states: Array, mask: Array, index: int) -> Array:
        """One transformer block, normalised after each sum, or before each half where `norm_first` says so."""
        scope = self.names.block.format(index)
        attention_norm, output_norm = scope + "self_attention_layer_norm", scope + "output_layer_norm"
        if self.norm_first:
            attended = states + self.attention(self.norm(states, attention_norm), mask, scope)
            return attended + self.feed_forward(self.norm(attended, output_norm), scope)
        attended = self.norm(states + self.attention(states, mask, scope), attention_norm)
        return self.norm(attended + self.feed_forward(attended, scope), output_norm)

    def attention(self, states: Array, mask: Array, scope: str) -> Array:
        batch, length, hidden = states.shape
        shape = (batch, length, self.heads, hidden // self.heads)
        query, key, value = (
            self.dense(states, f"{scope}self_attention/{name}").reshape(shape).transpose(0, 2, 1, 3)
            for name in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 1, 3, 2) / math.sqrt(hidden // self.heads)
        scores = scores + self.mask_adder * (1.0 - mask[:, None, None, :])
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = weights / weights.sum(-1, keepdims=True) @ value
        return self.dense(mixed.transpose(0, 2, 1, 3).reshape(states.shape), scope + self.names.attention_output)

    def feed_forward(self, states: Array, scope: str) -> Array:
        return self.dense(self.gelu(self.dense(states, scope + "intermediate")), scope + "output")

    def gelu(self, x: Array) -> Array:
        if self.exact_gelu:
            return x * 0.5 * (1.0 + np.vectorize(math.erf)(x / math.sqrt(2.0)))
        return x * 0.5 * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))

    def dense(self, x: Array, name: str) -> Array:
        """x @ kernel + bias; a kernel with a head axis on either side is flattened to a matrix."""
        return x @ self.weight(name + "/kernel").reshape(x.shape[-1], -1) + self.weight(name + "/bias").reshape(-1)

    def norm(self, x: Array, name: str) -> Array:
        centred = x - x.mean(-1, keepdims=True)
        scale = np.sqrt((centred**2).mean(-1, keepdims=True) + self.epsilon)
        return centred / scale * self.weight(name + "/gamma") + self.weight(name + "/beta")

    def has(self, name: str) -> bool:
        return self.names.scope + name in self.weights

    def weight(self, name: str) -> Array:
        return self.weights[self.names.scope + name]
