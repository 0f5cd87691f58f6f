"""DistilBERT's encoder (Sanh et al., arXiv:1910.01108), made of the layers of Model Garden's BertEncoderV2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tf_keras
from official.nlp.modeling.networks import BertEncoderV2


class DistilBertEncoder(BertEncoderV2):  # type: ignore[misc]  # Model Garden has no types
    """BertEncoderV2 without token types and without a pooler, of which it has no layers. Pre-norm is possible.

    It takes `input_word_ids` and `input_mask`, int32 [batch, seq], and returns `sequence_output`, float32 [batch, seq,
    hidden], and `encoder_outputs`, a list with one such tensor per block.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        # Neither has been called, so neither has weights; Keras forgets a layer whose attribute is deleted.
        del self._type_embedding_layer, self._pooler_layer
        self.inputs: dict[str, Any] = {
            name: tf_keras.Input(shape=(None,), dtype=tf.int32) for name in ("input_word_ids", "input_mask")
        }

    def call(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, Any]:
        """The outputs for a batch."""
        words = self._embedding_layer(inputs["input_word_ids"])
        states = self._embedding_norm_layer(words + self._position_embedding_layer(words))
        states = self._embedding_dropout(states)
        mask = self._attention_mask_layer(states, inputs["input_mask"])
        outputs = []
        for block in self._transformer_layers:
            states = block([states, mask])
            outputs.append(states)
        return {"sequence_output": states, "encoder_outputs": outputs}
