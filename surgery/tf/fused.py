"""An encoder's layers in the form that TensorFlow fuses on a CPU: the same formulas, in other operations.

Keras writes dense layers as Einsum, which TensorFlow's graph optimiser cannot fuse. Here each is a `MatMul` of
two-dimensional tensors with a `BiasAdd`, into which the optimiser fuses the bias, a following activation and the
residual. Attention is a batch product of four-dimensional tensors, scaled by a number, with a mask [batch, 1, 1, seq].

What a layer computes is a matter of its class, so one table holds for all families. How the layers of a block are
joined (pre-norm, bottlenecks, gates, shared blocks) remains Model Garden's own code, which runs with these layers. The
variables stay as they are; a kernel [hidden, heads, size] is reshaped where it is read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import tensorflow as tf
import tf_keras
from official.nlp.modeling import layers as garden

from surgery.tf.activations import ACTIVATIONS
from surgery.tf.layers import called_instead
from surgery.tf.token_rows import TokenRows

Call = Callable[..., Any]


@contextmanager
def fused(network: Any, blocks: Sequence[Any], rows: TokenRows) -> Iterator[None]:
    """Inside the block, the network's layers compute in the fused form, and its blocks on rows of tokens."""
    with ExitStack() as stack:
        inside = {id(layer) for block in blocks for layer in block._flatten_layers(include_self=False)}
        for layer in network._flatten_layers(include_self=False):
            forms = INSIDE if id(layer) in inside else OUTSIDE
            if type(layer) in forms:
                stack.enter_context(called_instead(layer, forms[type(layer)](layer, rows)))
        for block in {id(block): block for block in blocks}.values():
            stack.enter_context(called_instead(block, _block(block.call, rows)))
        yield


def _block(call: Call, rows: TokenRows) -> Call:
    """A block's own code, on the rows of its first input."""

    def run(inputs: Any, *args: Any, **kwargs: Any) -> Any:
        several = isinstance(inputs, list | tuple)
        states, *others = inputs if several else [inputs]
        returned = call([rows.of(states), *others] if several else rows.of(states), *args, **kwargs)
        if isinstance(returned, tuple):
            return (rows.placed(returned[0]), *returned[1:])
        return rows.placed(returned)

    return run


def _dense(layer: Any, _: TokenRows) -> Call:
    """A dense layer: [tokens, input] to [tokens, output], or with more axes in place of the tokens.

    Axes of heads in its input and output are joined.
    """

    def run(x: tf.Tensor) -> tf.Tensor:
        width = x.shape[-1]
        kernel = _flat(layer.kernel, [width, -1])
        y = tf.matmul(x if x.shape.rank == 2 else tf.reshape(x, [-1, width]), kernel)
        if layer.bias is not None:
            y = tf.nn.bias_add(y, _flat(layer.bias, [-1]))
        y = FUSED_ACTIVATIONS.get(layer.activation, layer.activation)(y)
        return y if x.shape.rank == 2 else tf.reshape(y, tf.concat([tf.shape(x)[:-1], y.shape[-1:]], axis=0))

    return run


def _flat(variable: Any, shape: Sequence[int]) -> Any:
    """A variable whose axes of heads are joined."""
    return variable if variable.shape.rank == len(shape) else tf.reshape(variable, shape)


def _activation(layer: Any, _: TokenRows) -> Call:
    """An activation of rows. GELU's approximation is written out, with a cube that TensorFlow recognises."""
    found: Call = FUSED_ACTIVATIONS.get(layer.activation, layer.activation)
    return found


def _gelu_tanh(x: tf.Tensor) -> tf.Tensor:
    """GELU's approximation by tanh (Hendrycks and Gimpel, arXiv:1606.08415).

    `tf.nn.gelu` writes the cube as `tf.pow(x, 3)`. Whether TensorFlow fuses that depends on the order in which its
    optimiser comes by; products it always fuses.
    """
    with tf.name_scope("Gelu"):
        return 0.5 * x * (1.0 + tf.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * (x * x * x))))


def _norm(layer: Any, _: TokenRows) -> Call:
    """Layer normalisation over the last axis (Ba et al., arXiv:1607.06450)."""

    def run(x: tf.Tensor) -> tf.Tensor:
        mean, variance = tf.nn.moments(x, [-1], keepdims=True)
        return (x - mean) * tf.math.rsqrt(variance + layer.epsilon) * layer.gamma + layer.beta

    return run


def _attention(layer: Any, rows: TokenRows) -> Call:
    """Attention (Vaswani et al., arXiv:1706.03762) of rows of tokens.

    The mask is [batch, 1, seq]. With `return_attention_scores` it also returns the probabilities
    [batch, heads, seq, seq].
    """
    mixed = isinstance(layer, garden.TalkingHeadsAttention)

    def run(
        query: tf.Tensor,
        value: tf.Tensor,
        key: tf.Tensor | None = None,
        attention_mask: tf.Tensor | None = None,
        return_attention_scores: bool = False,
        **_: Any,
    ) -> Any:
        heads = layer._query_dense.kernel.shape[1]
        projected = (layer._query_dense(query), layer._key_dense(value if key is None else key))
        queries, keys, values = (rows.heads(x, heads) for x in (*projected, layer._value_dense(value)))
        logits = tf.matmul(queries, keys, transpose_b=True) * (1.0 / math.sqrt(float(layer._key_dim)))
        if mixed:
            logits = _mixed(logits, layer._pre_softmax_weight)
        probabilities = layer._softmax(logits, attention_mask)
        weights = _mixed(probabilities, layer._post_softmax_weight) if mixed else probabilities
        context = tf.matmul(layer._dropout_layer(weights, training=False), values)
        output = layer._output_dense(rows.joined(context, query))
        return (output, probabilities) if return_attention_scores else output

    return run


def _softmax(layer: Any, _: TokenRows) -> Call:
    """The softmax of attention logits [batch, heads, seq, seq], to which a mask [batch, 1, seq] adds -1e9.

    What is added to the logits is a product with a new axis. In a sum of two products, TensorFlow would look for the
    scaled logits in the first only, and it sorts them by their names.
    """

    def run(logits: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        added = (1.0 - tf.cast(mask, logits.dtype)) * MASKED
        return tf.nn.softmax(logits + tf.expand_dims(added, axis=1))

    return run


def _dropout(_: Any, __: TokenRows) -> Call:
    """No dropout. Keras's own writes an Identity, through which no residual is fused."""

    def run(x: tf.Tensor, **_: Any) -> tf.Tensor:
        return x

    return run


def _mixed(maps: tf.Tensor, weight: Any) -> tf.Tensor:
    """Attention maps [batch, heads, seq, seq] mixed across heads (Shazeer et al., arXiv:2003.02436)."""
    shape = tf.shape(maps)
    flat = tf.reshape(maps, [shape[0], maps.shape[1], shape[2] * shape[3]])
    return tf.reshape(tf.matmul(weight, flat, transpose_a=True), shape)


def _mask(_: Any, __: TokenRows) -> Call:
    """The attention mask [batch, 1, seq] of an input mask [batch, seq]: the same for all queries."""

    def run(inputs: Any, to_mask: tf.Tensor | None = None) -> tf.Tensor:
        states, mask = inputs if to_mask is None else (inputs, to_mask)
        batch, length = tf.unstack(tf.shape(mask))
        return tf.reshape(tf.cast(mask, states.dtype), [batch, 1, length])

    return run


MASKED = -1e9
"""What Keras's own softmax adds to the logits of padding in float32."""
FUSED_ACTIVATIONS: Mapping[Any, Any] = {ACTIVATIONS["gelu_tanh"]: _gelu_tanh}
"""Activations with another form here, by that of the rebuilt encoder."""
INSIDE: Mapping[type, Callable[[Any, TokenRows], Call]] = {
    tf_keras.layers.Activation: _activation,
    tf_keras.layers.Dropout: _dropout,
    tf_keras.layers.EinsumDense: _dense,
    tf_keras.layers.LayerNormalization: _norm,
    tf_keras.layers.MultiHeadAttention: _attention,
    garden.TalkingHeadsAttention: _attention,
    tf_keras.layers.Softmax: _softmax,
}
"""The fused form by the class of a layer inside a block. Layers of other classes act on each element alone."""
OUTSIDE: Mapping[type, Callable[[Any, TokenRows], Call]] = {
    tf_keras.layers.EinsumDense: _dense,
    garden.SelfAttentionMask: _mask,
}
"""The fused form by the class of a layer outside the blocks."""
