"""Scopes of the weights in Model Garden's MobileBERTEncoder, which its own dialects and its publishers' share."""

from __future__ import annotations

BLOCK = "transformer_layer_{layer}"
FFN = BLOCK + "/ffn_layer_{ffn}"
EMBEDDING = "mobile_bert_embedding"
SHARED = BLOCK + "/kq_shared_bottleneck"
