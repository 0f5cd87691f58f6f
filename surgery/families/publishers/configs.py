"""Rows of the configs of BERT and its relatives that all publishers share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from surgery.tables.evidence import CodeEvidence, ConfigEvidence, Demand

_POOLER = "pooler_transform/kernel"
MASKED_LM_KERNEL = "cls/predictions/transform/dense/kernel"
"""A target that every module with a masked-LM head has."""
SIZES = (
    "num_hidden_layers",
    "hidden_size",
    "num_attention_heads",
    "intermediate_size",
    "vocab_size",
    "max_position_embeddings",
    "type_vocab_size",
)
ONE_GROUP = tuple(
    Demand(key=key, allowed=(1,), because="the rebuilt encoder applies one block at every depth")
    for key in ("num_hidden_groups", "inner_group_num")
)
_EMBEDDING_SIZE = ConfigEvidence(field="embedding_size", key="embedding_size", anchors=("embedding_projection/kernel",))


def config_evidence(
    activations: Mapping[str, tuple[str, ...]], dropouts: tuple[str, ...], code: Mapping[str, Any], place: str
) -> tuple[ConfigEvidence | CodeEvidence, ...]:
    """The rows of a config and of the code that reads it.

    Args:
        activations: Values that a word for an activation may stand for, see ConfigEvidence.means.
        dropouts: Fields that `hidden_dropout_prob` gives; other dropouts have the rate 0, because the code has none.
        code: Fields that the code fixes, with their values.
        place: The file of the publisher's code.
    """
    hidden = {"embedding_dropout", "attention_output_dropout", "intermediate_dropout", "output_dropout"}
    anchors = {"pooler_act": (_POOLER,), **dict.fromkeys(("mlm_act", "mlm_layer_norm_eps"), (MASKED_LM_KERNEL,))}
    fixed = {"norm_first": False, "pooler_act": "tanh", **dict.fromkeys(sorted(hidden - set(dropouts)), 0.0), **code}
    return (
        *(ConfigEvidence(field=field, key=field) for field in SIZES),
        _EMBEDDING_SIZE,
        ConfigEvidence(field="hidden_act", key="hidden_act", means=activations),
        *(
            ConfigEvidence(field=field, key="hidden_act", anchors=anchors[field], means=activations)
            for field in ("mlm_act",)
            if field not in code
        ),
        ConfigEvidence(field="attention_probs_dropout", key="attention_probs_dropout_prob"),
        *(ConfigEvidence(field=field, key="hidden_dropout_prob") for field in dropouts),
        *(
            CodeEvidence(field=field, value=value, place=place, anchors=anchors.get(field, ()))
            for field, value in fixed.items()
        ),
    )
