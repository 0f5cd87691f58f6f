"""A BERT module in the form of the first TensorFlow 2 exports (autumn 2019), our own code after that form.

The call takes the list `[input_word_ids, input_mask, input_type_ids]`, each int32 [batch, seq], and returns
the list `[pooled_output [batch, H], sequence_output [batch, seq, H]]`. Variables are named `bert_model/...`;
the attention kernels are flat, [H, H], and reshaped to heads inside the graph.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras

from .common import randomise, write_vocab

Layer = tf_keras.layers.Layer
Dropout = tf_keras.layers.Dropout
MASK_ADDER = -10000.0


def gelu_tanh(x: tf.Tensor) -> tf.Tensor:
    """The tanh approximation of GELU, spelt with Pow and Tanh."""
    return x * (0.5 * (1.0 + tf.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * tf.pow(x, 3)))))


def gelu_exact(x: tf.Tensor) -> tf.Tensor:
    """GELU spelt with Erf; `tf.nn.gelu` of a recent TensorFlow would write Erfc."""
    return x * (0.5 * (1.0 + tf.math.erf(x / math.sqrt(2.0))))


ACTIVATIONS = {"gelu": gelu_tanh, "exact": gelu_exact, "relu": tf.nn.relu}


class Projection(Layer):
    """kernel [rows, columns] and bias [columns], reshaped to `kernel_view` and `bias_view` if given."""

    def __init__(self, rows, columns, equation, kernel_view=None, bias_view=None, activation=None, **kwargs):
        super().__init__(**kwargs)
        self.sizes = (rows, columns)
        self.equation = equation
        self.kernel_view, self.bias_view = kernel_view, bias_view
        self.activation = activation

    def build(self, input_shape):
        rows, columns = self.sizes
        self.kernel = self.add_weight(name="kernel", shape=(rows, columns))
        self.bias = self.add_weight(name="bias", shape=(columns,))
        super().build(input_shape)

    def call(self, inputs):
        kernel, bias = self.kernel, self.bias
        if self.kernel_view is not None:
            kernel = tf.reshape(kernel, self.kernel_view)
            bias = tf.reshape(bias, self.bias_view)
        result = tf.einsum(self.equation, inputs, kernel) + bias
        return result if self.activation is None else self.activation(result)


class LayerNorm(Layer):
    """gamma, beta [H] over the last axis; always moments and batchnorm ops, never a fused one."""

    def __init__(self, epsilon, **kwargs):
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def build(self, input_shape):
        self.gamma = self.add_weight(name="gamma", shape=(input_shape[-1],))
        self.beta = self.add_weight(name="beta", shape=(input_shape[-1],))
        super().build(input_shape)

    def call(self, inputs):
        mean, variance = tf.nn.moments(inputs, [2], keepdims=True)
        return tf.nn.batch_normalization(inputs, mean, variance, self.beta, self.gamma, self.epsilon)


class WordEmbeddings(Layer):
    """int32 [batch, seq] -> [batch, seq, H]."""

    def __init__(self, vocab, hidden, **kwargs):
        super().__init__(**kwargs)
        self.sizes = (vocab, hidden)

    def build(self, input_shape):
        self.embeddings = self.add_weight(name="embeddings", shape=self.sizes)
        super().build(input_shape)

    def call(self, inputs):
        flat = tf.gather(self.embeddings, tf.reshape(inputs, [-1]))
        shape = tf.shape(inputs)
        return tf.reshape(flat, [shape[0], shape[1], self.sizes[1]])


class EmbeddingPostprocessor(Layer):
    """Add token type and position embeddings, normalise, drop: [batch, seq, H] -> [batch, seq, H]."""

    def __init__(self, c, **kwargs):
        super().__init__(**kwargs)
        self.hidden, self.types, self.positions = c["hidden"], c["types"], c["positions"]
        self.output_layer_norm = LayerNorm(c["epsilon"], name="layer_norm")
        self.output_dropout = Dropout(c["embedding_dropout"], name="dropout")

    def build(self, input_shape):
        self.type_embeddings = self.add_weight(name="type_embeddings", shape=(self.types, self.hidden))
        self.position_embeddings = self.add_weight(name="position_embeddings", shape=(self.positions, self.hidden))
        super().build(input_shape)

    def call(self, inputs, training=None):
        words, input_type_ids = inputs
        shape = tf.shape(words)
        one_hot = tf.one_hot(tf.reshape(input_type_ids, [-1]), self.types, dtype=tf.float32)
        types = tf.reshape(tf.matmul(one_hot, self.type_embeddings), [shape[0], shape[1], self.hidden])
        positions = tf.slice(self.position_embeddings, [0, 0], [shape[1], self.hidden])
        summed = words + types + tf.expand_dims(positions, 0)
        return self.output_dropout(self.output_layer_norm(summed), training=training)


class SelfAttention(Layer):
    """[batch, seq, H] and mask int32 [batch, seq, seq] -> [batch, seq, N, d]."""

    def __init__(self, c, index, **kwargs):
        super().__init__(**kwargs)
        hidden, heads = c["hidden"], c["heads"]
        self.size = hidden // heads
        views = ([hidden, heads, self.size], [heads, self.size])
        self.query_dense, self.key_dense, self.value_dense = (
            Projection(hidden, hidden, "bsh,hnd->bsnd", *views, name=name) for name in ("query", "key", "value")
        )
        self.attention_probs_dropout = Dropout(c["attention_dropout"], name=f"dropout_{3 * index + 3}")

    def call(self, inputs, training=None):
        states, attention_mask = inputs
        query, key, value = self.query_dense(states), self.key_dense(states), self.value_dense(states)
        scores = tf.multiply(tf.einsum("btnd,bfnd->bnft", key, query), 1.0 / math.sqrt(self.size))
        adder = (1.0 - tf.cast(tf.expand_dims(attention_mask, [1]), tf.float32)) * MASK_ADDER
        probabilities = tf.nn.softmax(scores + adder)
        probabilities = self.attention_probs_dropout(probabilities, training=training)
        return tf.einsum("bnft,btnd->bfnd", probabilities, value)


class Block(Layer):
    """One transformer block, normalised after each sum: [batch, seq, H] -> [batch, seq, H]."""

    def __init__(self, c, index, **kwargs):
        super().__init__(**kwargs)
        hidden, heads, inner = c["hidden"], c["heads"], c["inner"]
        self.attention_layer = SelfAttention(c, index, name="self_attention")
        views = ([heads, hidden // heads, hidden], [hidden])
        self.attention_output_dense = Projection(hidden, hidden, "bsnd,ndh->bsh", *views, name="self_attention_output")
        self.attention_dropout = Dropout(c["attention_output_dropout"], name=f"dropout_{3 * index + 1}")
        self.attention_layer_norm = LayerNorm(c["epsilon"], name="self_attention_layer_norm")
        activation = ACTIVATIONS[c["activation"]]
        self.intermediate_dense = Projection(hidden, inner, "bsh,hi->bsi", activation=activation, name="intermediate")
        self.output_dense = Projection(inner, hidden, "bsi,ih->bsh", name="output")
        self.output_dropout = Dropout(c["block_output_dropout"], name=f"dropout_{3 * index + 2}")
        self.output_layer_norm = LayerNorm(c["epsilon"], name="output_layer_norm")

    def call(self, inputs, training=None):
        states, attention_mask = inputs
        context = self.attention_layer([states, attention_mask], training=training)
        attended = self.attention_dropout(self.attention_output_dense(context), training=training)
        attended = self.attention_layer_norm(states + attended)
        result = self.output_dense(self.intermediate_dense(attended))
        return self.output_layer_norm(self.output_dropout(result, training=training) + attended)


class Encoder(Layer):
    """All blocks in a row."""

    def __init__(self, c, **kwargs):
        super().__init__(**kwargs)
        self.layers = [Block(c, index, name=f"layer_{index}") for index in range(c["num_layers"])]

    def call(self, inputs, training=None):
        states, attention_mask = inputs
        for layer in self.layers:
            states = layer([states, attention_mask], training=training)
        return states


class BertModel(Layer):
    """Embeddings, blocks and pooler; returns `(pooled_output, sequence_output)`."""

    def __init__(self, c, **kwargs):
        super().__init__(**kwargs)
        self.embedding_lookup = WordEmbeddings(c["vocab"], c["hidden"], name="word_embeddings")
        self.embedding_postprocessor = EmbeddingPostprocessor(c, name="embedding_postprocessor")
        self.encoder = Encoder(c, name="encoder")
        self.pooler_transform = tf_keras.layers.Dense(c["hidden"], activation="tanh", name="pooler_transform")

    def call(self, inputs, training=None):
        input_word_ids, input_mask, input_type_ids = inputs
        words = self.embedding_lookup(input_word_ids)
        states = self.embedding_postprocessor([words, input_type_ids], training=training)
        shape = tf.shape(input_word_ids)
        ones = tf.ones([shape[0], shape[1], 1], tf.int32)
        attention_mask = ones * tf.reshape(input_mask, [shape[0], 1, tf.shape(input_mask)[1]])
        sequence_output = self.encoder([states, attention_mask], training=training)
        pooled_output = self.pooler_transform(tf.squeeze(sequence_output[:, 0:1, :], axis=1))
        return pooled_output, sequence_output


def build_module(
    path: str | Path,
    *,
    seed: int = 0,
    num_layers: int = 3,
    hidden: int = 64,
    heads: int = 4,
    inner: int = 160,
    vocab: int = 1200,
    positions: int = 96,
    types: int = 2,
    activation: str = "gelu",
    epsilon: float = 1e-12,
    output_dropout: float = 0.1,
    attention_dropout: float = 0.1,
    embedding_dropout: float | None = None,
    block_output_dropout: float | None = None,
    lower_case: bool = True,
    weights: Mapping[str, np.ndarray] | None = None,
) -> Path:
    """Write the module into the folder `path` and return it.

    `activation` is "gelu" (tanh approximation), "exact" (erf) or "relu". `output_dropout` serves the
    embedding, the attention output and the block output; the first and the last can be set apart from it.
    `weights` are the values of the variables by name; None for random ones.
    """
    tf.random.set_seed(seed)
    embedding_dropout = output_dropout if embedding_dropout is None else embedding_dropout
    block_output_dropout = output_dropout if block_output_dropout is None else block_output_dropout
    config = {
        "num_layers": num_layers,
        "hidden": hidden,
        "heads": heads,
        "inner": inner,
        "vocab": vocab,
        "positions": positions,
        "types": types,
        "activation": activation,
        "epsilon": epsilon,
        "attention_dropout": attention_dropout,
        "attention_output_dropout": output_dropout,
        "embedding_dropout": embedding_dropout,
        "block_output_dropout": block_output_dropout,
    }
    inputs = [
        tf_keras.Input((None,), dtype=tf.int32, name=name)
        for name in ("input_word_ids", "input_mask", "input_type_ids")
    ]
    pooled_output, sequence_output = BertModel(config, name="bert_model")(inputs)
    model = tf_keras.Model(inputs, [pooled_output, sequence_output], name="model")
    if weights is None:
        randomise(model.variables, seed)
    else:
        assert weights.keys() == {variable.name.split(":")[0] for variable in model.variables}
        for variable in model.variables:
            variable.assign(weights[variable.name.split(":")[0]])
    with tempfile.TemporaryDirectory() as folder:
        model.vocab_file = tf.saved_model.Asset(str(write_vocab(Path(folder), vocab)))
        model.do_lower_case = tf.Variable(lower_case, trainable=False)
        model.save(str(path), include_optimizer=False, save_format="tf")
    return Path(path)
