"""Hugging Face's ALBERT: transformers, models/albert/modeling_albert.py."""

from __future__ import annotations

from surgery.families.publishers.configs import ONE_GROUP
from surgery.families.publishers.hugging_face import GENERATION, hugging_face_checkpoints, hugging_face_rows, spelling
from surgery.families.publishers.hugging_face_library import library
from surgery.families.shared.albert import SHARED
from surgery.tables.publisher import Names
from surgery.tables.rules import Dialect

# The names a second time, for the reference computation: a slip in the rows below must show.
_NAMES = Names(
    words="embeddings.word_embeddings.weight",
    positions="embeddings.position_embeddings.weight",
    types="embeddings.token_type_embeddings.weight",
    embedding_norm="embeddings.LayerNorm",
    projection="encoder.embedding_hidden_mapping_in",
    block="encoder.albert_layer_groups.0.albert_layers.0.",
    query="attention.query",
    key="attention.key",
    value="attention.value",
    attention_output="attention.dense",
    attention_norm="attention.LayerNorm",
    intermediate="ffn",
    output="ffn_output",
    output_norm=("full_layer_layer_norm",),
    pooler="pooler",
    mlm_dense="predictions.dense",
    mlm_norm="predictions.LayerNorm",
    mlm_bias="predictions.bias",
    classifier="classifier",
    spelling=spelling("albert"),
)

HUGGING_FACE = Dialect(
    generation={"dict": GENERATION},
    rules=hugging_face_rows(
        "albert",
        "encoder.albert_layer_groups.0.albert_layers.0",
        SHARED,
        {
            "query": "attention.query",
            "key": "attention.key",
            "value": "attention.value",
            "attention_output": "attention.dense",
            "attention_norm": "attention.LayerNorm",
            "intermediate": "ffn",
            "output": "ffn_output",
            "output_norm": "full_layer_layer_norm",
            "pooler": "pooler",
            "projection": "encoder.embedding_hidden_mapping_in",
            "mlm_dense": "predictions.dense",
            "mlm_norm": "predictions.LayerNorm",
            "mlm_bias": "predictions.bias",
            "mlm_decoder": "predictions.decoder.{leaf:(?:weight|bias)}",
        },
    ),
    # transformers' AlbertLayer has a dropout after the feed-forward, and never calls it.
    publisher=hugging_face_checkpoints(
        "albert",
        _NAMES,
        ("embedding_dropout", "attention_output_dropout"),
        library("Albert", scope="albert", classifier_dropout="classifier_dropout_prob"),
        ONE_GROUP,
    ),
)
