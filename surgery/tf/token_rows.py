"""Tokens as rows: an encoder's blocks compute on [tokens, width] instead of [batch, seq, width].

Dense layers, activations, residuals and norms act on each token alone. Only attention needs to know which row stands at
which position. Where padding is left out, no row stands for it: what Zhai et al. (ByteTransformer, arXiv:2210.03052) do
in kernels of their own is done here by gathers.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import tensorflow as tf


class TokenRows:
    """The rows of all positions, or with `packed` those of the kept positions only.

    Kept are the positions that the mask shows, and position 0 of each text, which the pooled output reads. A text that
    the mask does not show at all keeps everything: attention then looks at its padding, too.
    """

    def __init__(self, mask: tf.Tensor, *, packed: bool) -> None:
        """`mask` is int32 [batch, seq]."""
        self._mask = mask
        self._made: dict[int, tuple[Any, tf.Tensor]] = {}
        self._kept = self._places = self._row_at = None
        if packed:
            hidden = ~tf.reduce_any(mask > 0, axis=1, keepdims=True)
            self._kept = tf.concat([tf.ones_like(hidden), (mask[:, 1:] != 0) | hidden], axis=1)
            flat = tf.reshape(self._kept, [-1])
            self._places = tf.reshape(tf.where(flat), [-1])
            # A position of padding reads the row of the last kept position before it: the mask hides it again.
            self._row_at = tf.cumsum(tf.cast(flat, tf.int32)) - 1

    @cached_property
    def _sizes(self) -> Sequence[tf.Tensor]:
        """Batch and seq. Only the fused form asks for them: Model Garden's form has no operation of ours."""
        sizes: Sequence[tf.Tensor] = tf.unstack(tf.shape(self._mask))
        return sizes

    def of(self, x: tf.Tensor) -> tf.Tensor:
        """The rows [tokens, width] of a tensor [batch, seq, width]."""
        if id(x) in self._made:
            return self._made[id(x)][1]
        rows = tf.reshape(x, [-1, x.shape[-1]])
        return rows if self._places is None else tf.gather(rows, self._places)

    def placed(self, rows: tf.Tensor, size: int | None = None) -> tf.Tensor:
        """Rows [tokens, width] as [batch, seq, width], or with heads of a `size` as [batch, seq, heads, size].

        Padding that has no rows is zero.
        """
        width = rows.shape[-1]
        x = self.shown(self._spread(rows, [width] if size is None else [width // size, size]), [1])
        self._made[id(x)] = (x, rows)  # kept alive, so that no other tensor gets its id
        return x

    def shown(self, x: tf.Tensor | None, axes: Sequence[int]) -> tf.Tensor | None:
        """A tensor with zeros at padding that has no rows; None for the None of a block that is not run.

        `axes` are those that count positions.
        """
        if self._kept is None or x is None or id(x) in self._made:
            return x
        for axis in axes:
            sizes = [1] * x.shape.rank
            sizes[0], sizes[axis] = self._sizes
            x = tf.where(tf.reshape(self._kept, sizes), x, tf.zeros_like(x))
        return x

    def heads(self, rows: tf.Tensor, heads: int) -> tf.Tensor:
        """Rows [tokens, heads * size] as [batch, heads, seq, size]. Padding that has no rows is anything finite."""
        return tf.transpose(self._spread(rows, [heads, rows.shape[-1] // heads]), [0, 2, 1, 3])

    def joined(self, x: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
        """The rows [tokens, heads * size] of a tensor [batch, heads, seq, size].

        They are as many as the rows `like`. The reshape says so, because TensorFlow fuses a residual only where it
        knows that both addends have one shape.
        """
        x = tf.transpose(x, [0, 2, 1, 3])
        width = x.shape[2] * x.shape[3]
        if self._places is not None:
            return tf.gather(tf.reshape(x, [-1, width]), self._places)
        return tf.reshape(x, tf.concat([tf.shape(like)[:1], [width]], axis=0))

    def _spread(self, rows: tf.Tensor, sizes: Sequence[int]) -> tf.Tensor:
        """Rows at their positions, [batch, seq, …], with a width that is split into axes of these sizes."""
        if self._row_at is not None:
            rows = tf.gather(rows, self._row_at)
        return tf.reshape(rows, [*self._sizes, *sizes])
