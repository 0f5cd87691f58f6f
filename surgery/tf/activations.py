"""The activations of a rebuilt encoder by the name of the architecture's field."""

from __future__ import annotations

import tensorflow as tf
import tf_keras


def gelu(x: tf.Tensor) -> tf.Tensor:
    """GELU by the error function."""
    return tf_keras.activations.gelu(x, approximate=False)


def gelu_tanh(x: tf.Tensor) -> tf.Tensor:
    """GELU's approximation by tanh, which BERT's own code uses."""
    return tf_keras.activations.gelu(x, approximate=True)


ACTIVATIONS = {"gelu": gelu, "gelu_tanh": gelu_tanh, "relu": tf_keras.activations.relu, "tanh": tf.tanh}
HEAD_ACTIVATIONS = {
    "linear": tf.identity,
    "softmax": tf.nn.softmax,
    "sigmoid": tf.nn.sigmoid,
    "log_softmax": tf.nn.log_softmax,
}
"""The activations behind a head's logits, by the name in explanation.heads.DenseHead.outputs."""
