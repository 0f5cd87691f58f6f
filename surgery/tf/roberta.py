"""RoBERTa's encoder (Liu et al., arXiv:1907.11692), made of the layers of Model Garden's BertEncoderV2."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from official.nlp.modeling.layers import OnDeviceEmbedding
from official.nlp.modeling.networks import BertEncoderV2


class RobertaEncoder(BertEncoderV2):  # type: ignore[misc]  # Model Garden has no types
    """BertEncoderV2 whose positions are counted from the id of padding, over the tokens that are no padding.

    Padding counts for nothing wherever it stands, and the mask says nothing about it: the ids do. Without
    `input_type_ids`, every token is of type 0.
    """

    def __init__(self, *, pad_token_id: int, max_sequence_length: int, **arguments: Any) -> None:
        """`max_sequence_length` is the number of rows of the position table, of which tokens use those after padding's.

        The other arguments are BertEncoderV2's.
        """
        super().__init__(max_sequence_length=max_sequence_length, **arguments)
        self._padding = pad_token_id
        width = self._config["embedding_width"]
        # Model Garden's own layer takes the first rows, whatever the ids are.
        self._position_embedding_layer = OnDeviceEmbedding(max_sequence_length, width, name="token_position_embedding")

    def _get_embeddings(
        self, word_ids: tf.Tensor, type_ids: tf.Tensor | None, word_embeddings: tf.Tensor, *_: Any
    ) -> tf.Tensor:
        """The sum of the lookups, float32 [batch, seq, width]; called by BertEncoderV2."""
        types = tf.zeros([1, 1], tf.int32) if type_ids is None else type_ids
        positions = self._position_embedding_layer(self._positions(word_ids))
        return word_embeddings + positions + self._type_embedding_layer(types)

    def _positions(self, word_ids: tf.Tensor) -> tf.Tensor:
        """The row of the position table for each token, int32 [batch, seq]; for padding, the row of its id."""
        tokens = tf.cast(tf.not_equal(word_ids, self._padding), tf.int32)
        return tf.cumsum(tokens, axis=1) * tokens + self._padding
