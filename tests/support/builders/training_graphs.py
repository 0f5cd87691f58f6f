"""The graph that training leaves beside a TF1 checkpoint, `PREFIX.meta`: gradients, an optimiser and a saver are in it.

Only what surgery reads of such a graph is there: BERT's embeddings, and the feed-forward of its first block.
"""

from __future__ import annotations

import math
from pathlib import Path

import tensorflow as tf

v1 = tf.compat.v1
HIDDEN, INNER, WORDS = 8, 12, 50


def gelu_of_2018(x: tf.Tensor) -> tf.Tensor:
    """As google-research/bert's modeling.py had it first."""
    return x * 0.5 * (1.0 + tf.math.erf(x / tf.sqrt(2.0)))


def gelu_of_2019(x: tf.Tensor) -> tf.Tensor:
    """As it has been since."""
    return x * 0.5 * (1.0 + tf.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * tf.pow(x, 3))))


def write_training_graph(path: Path, *, exact_gelu: bool, epsilon: float = 1e-12) -> None:
    """Write a `.meta` file with variables and names of TensorFlow 1."""
    with tf.Graph().as_default():
        ids = v1.placeholder(tf.int32, [None, None], "input_ids")
        x = _norm(tf.gather(_variable("embeddings/word_embeddings", WORDS, HIDDEN), ids), "embeddings", epsilon)
        inner = _dense(x, "encoder/layer_0/intermediate/dense", HIDDEN, INNER)
        activated = gelu_of_2018(inner) if exact_gelu else gelu_of_2019(inner)
        outer = x + _dense(activated, "encoder/layer_0/output/dense", INNER, HIDDEN)
        loss = tf.reduce_mean(_norm(outer, "encoder/layer_0/output", epsilon) ** 2)
        v1.summary.scalar("loss", loss)
        v1.train.AdamOptimizer(1e-4).minimize(loss, v1.train.get_or_create_global_step())
        v1.train.Saver().export_meta_graph(str(path))


def _variable(name: str, *shape: int) -> tf.Variable:
    return v1.get_variable(f"bert/{name}", shape, use_resource=False)


def _dense(x: tf.Tensor, name: str, into: int, out: int) -> tf.Tensor:
    flat = tf.matmul(tf.reshape(x, [-1, into]), _variable(f"{name}/kernel", into, out))
    biased = tf.nn.bias_add(flat, _variable(f"{name}/bias", out))
    return tf.reshape(biased, [tf.shape(x)[0], tf.shape(x)[1], out])


def _norm(x: tf.Tensor, name: str, epsilon: float) -> tf.Tensor:
    """As tf.contrib.layers.layer_norm computes it."""
    mean, variance = tf.nn.moments(x, [-1], keepdims=True)
    gamma, beta = (_variable(f"{name}/LayerNorm/{leaf}", x.shape[-1]) for leaf in ("gamma", "beta"))
    return tf.nn.batch_normalization(x, mean, variance, beta, gamma, epsilon)
