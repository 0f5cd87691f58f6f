"""Features in the graph: block outputs mixed, and pooled over the tokens that the mask shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from surgery.planning.features import ResolvedFeature


def compute(feature: ResolvedFeature, states: Sequence[tf.Tensor], mask: tf.Tensor) -> Mapping[str, tf.Tensor]:
    """A feature's outputs by name, from its layers' outputs `states` [batch, seq, width] and int32 `mask` [batch, seq].

    An output is [batch, seq, width], or with pooling [batch, width].
    """
    mixed = _mix(feature, states)
    return dict(zip(feature.outputs, (_pool(feature.pooling, x, mask) for x in mixed), strict=True))


def _mix(feature: ResolvedFeature, states: Sequence[tf.Tensor]) -> Sequence[tf.Tensor]:
    match feature.mix:
        case "none":
            return states
        case "concat":
            return [tf.concat(states, axis=-1)]
        case "mean":
            return [tf.add_n(states) / float(len(states))]
        case "sum":
            return [tf.add_n(states)]
        case _:
            weighed = [weight * x for weight, x in zip(feature.weights, states, strict=True)]
            return [tf.add_n(weighed)]


def _pool(pooling: str, x: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Pools [batch, seq, width] to [batch, width]. A row of nothing but padding pools to zeros, never to NaN."""
    if pooling == "none":
        return x
    if pooling == "cls":
        return x[:, 0]
    # Not [:, :, None]: LiteRT has no operation for a new axis in a slice.
    there = tf.expand_dims(tf.cast(mask != 0, x.dtype), axis=-1)
    count = tf.maximum(tf.reduce_sum(there, axis=1), 1.0)
    total = tf.reduce_sum(x * there, axis=1)
    if pooling == "mean":
        return total / count
    if pooling == "mean_sqrt_len":
        return total / tf.sqrt(count)
    largest = tf.reduce_max(tf.where(there > 0, x, x.dtype.min), axis=1)
    largest = tf.where(tf.reduce_any(mask != 0, axis=1, keepdims=True), largest, tf.zeros_like(largest))
    return largest if pooling == "max" else tf.concat([total / count, largest], axis=-1)
