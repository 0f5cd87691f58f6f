"""Hugging Face's RoBERTa and its descendants: transformers, models/{roberta,xlm_roberta,camembert}/modeling_*.py.

The three have one code under three names.
"""

from __future__ import annotations

from dataclasses import replace

from surgery.families.publishers.hugging_face import (
    GENERATION,
    TABLES,
    hugging_face_checkpoints,
    hugging_face_rows,
    spelling,
)
from surgery.families.publishers.hugging_face_bert import BERT_NAMES, BLOCK_NAMES, DROPOUTS
from surgery.families.publishers.hugging_face_library import library
from surgery.families.shared.rows import BLOCK
from surgery.tables.evidence import ConfigEvidence
from surgery.tables.rules import Dialect

POSITIONS = "token_position_embedding"
"""Scope of the position table in the rebuilt encoder. It is not BERT's, because its rows stand for other positions."""
_SCOPE = "roberta"
# The names a second time, for the reference computation: a slip in the rows below must show.
_NAMES = replace(
    BERT_NAMES,
    mlm_dense="lm_head.dense",
    mlm_norm="lm_head.layer_norm",
    mlm_bias="lm_head.bias",
    classifier="classifier.out_proj",
    classifier_hidden="classifier.dense",
    classifier_act="tanh",
    spelling=spelling(_SCOPE),
)


def hugging_face_roberta(model: str, prefix: str) -> Dialect:
    """The dialect of a model.

    Args:
        model: Name of the architecture in the config, such as "xlm-roberta".
        prefix: Prefix of its classes, such as "XLMRoberta".
    """
    # RobertaLMHead applies GELU, and RobertaClassificationHead tanh, whatever the config's activation.
    publisher = hugging_face_checkpoints(
        model,
        _NAMES,
        DROPOUTS,
        library(prefix, scope=_SCOPE, classifier_act="tanh"),
        code={"mlm_act": "gelu"},
    )
    return Dialect(
        generation={"dict": GENERATION},
        rules=hugging_face_rows(
            _SCOPE,
            "encoder.layer.{layer}",
            BLOCK,
            {
                **BLOCK_NAMES,
                "pooler": "pooler.dense",
                "mlm_dense": "lm_head.dense",
                "mlm_norm": "lm_head.layer_norm",
                "mlm_bias": "lm_head.bias",
                "mlm_decoder": "lm_head.decoder.{leaf:(?:weight|bias)}",
                "classifier": "classifier.out_proj",
                "classifier_hidden": "classifier.dense",
            },
            {**TABLES, "position_embeddings": (POSITIONS, "positions")},
        ),
        publisher=replace(
            publisher,
            evidence=(*publisher.evidence, ConfigEvidence(field="pad_token_id", key="pad_token_id")),
        ),
    )
