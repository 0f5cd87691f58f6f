"""Hugging Face's BERT and ELECTRA: transformers, models/{bert,electra}/modeling_*.py."""

from __future__ import annotations

from dataclasses import replace

from surgery.families.publishers.hugging_face import GENERATION, hugging_face_checkpoints, hugging_face_rows, spelling
from surgery.families.publishers.hugging_face_library import library
from surgery.families.shared.rows import BLOCK
from surgery.tables.publisher import Names
from surgery.tables.rules import Dialect

# The names a second time, for the reference computation: a slip in the rows below must show.
BERT_NAMES = Names(
    words="embeddings.word_embeddings.weight",
    positions="embeddings.position_embeddings.weight",
    types="embeddings.token_type_embeddings.weight",
    embedding_norm="embeddings.LayerNorm",
    projection="",
    block="encoder.layer.{}.",
    query="attention.self.query",
    key="attention.self.key",
    value="attention.self.value",
    attention_output="attention.output.dense",
    attention_norm="attention.output.LayerNorm",
    intermediate="intermediate.dense",
    output="output.dense",
    output_norm=("output.LayerNorm",),
    pooler="pooler.dense",
    mlm_dense="cls.predictions.transform.dense",
    mlm_norm="cls.predictions.transform.LayerNorm",
    mlm_bias="cls.predictions.bias",
    classifier="classifier",
    spelling=spelling("bert"),
)
ELECTRA_NAMES = replace(
    BERT_NAMES,
    projection="embeddings_project",
    mlm_dense="generator_predictions.dense",
    mlm_norm="generator_predictions.LayerNorm",
    mlm_bias="generator_lm_head.bias",
    classifier="classifier.out_proj",
    classifier_hidden="classifier.dense",
    classifier_act="gelu",
    spelling=spelling("electra"),
)

BLOCK_NAMES = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "attention_output": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "intermediate": "intermediate.dense",
    "output": "output.dense",
    "output_norm": "output.LayerNorm",
}
"""The layers of a block, for the rows."""
DROPOUTS = ("embedding_dropout", "attention_output_dropout", "output_dropout")
"""The fields that `hidden_dropout_prob` gives."""

HUGGING_FACE = Dialect(
    generation={"dict": GENERATION},
    rules=hugging_face_rows(
        "bert",
        "encoder.layer.{layer}",
        BLOCK,
        {
            **BLOCK_NAMES,
            "pooler": "pooler.dense",
            "mlm_dense": "cls.predictions.transform.dense",
            "mlm_norm": "cls.predictions.transform.LayerNorm",
            "mlm_bias": "cls.predictions.bias",
            "mlm_decoder": "cls.predictions.decoder.{leaf:(?:weight|bias)}",
        },
    ),
    publisher=hugging_face_checkpoints("bert", BERT_NAMES, DROPOUTS, library("Bert", scope="bert")),
)
HUGGING_FACE_ELECTRA = Dialect(
    generation={"dict": GENERATION},
    rules=hugging_face_rows(
        "electra",
        "encoder.layer.{layer}",
        BLOCK,
        {
            **BLOCK_NAMES,
            "projection": "embeddings_project",
            "mlm_dense": "generator_predictions.dense",
            "mlm_norm": "generator_predictions.LayerNorm",
            "mlm_bias": "generator_lm_head.bias",
            "mlm_decoder": "generator_lm_head.weight",
            "classifier": "classifier.out_proj",
            "classifier_hidden": "classifier.dense",
        },
    ),
    # ElectraGeneratorPredictions and ElectraClassificationHead apply GELU, whatever the config's activation.
    publisher=hugging_face_checkpoints(
        "electra",
        ELECTRA_NAMES,
        DROPOUTS,
        library("Electra", scope="electra", classifier_act="gelu"),
        code={"mlm_act": "gelu"},
    ),
)
