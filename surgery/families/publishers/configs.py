"""What the configs of published checkpoints say of BERT and its relatives, whoever publishes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from surgery.tables.evidence import CodeEvidence, ConfigEvidence, Demand

_POOLER, _MASKED_LM = "pooler_transform/kernel", "cls/predictions/transform/dense/kernel"
_SIZES = (
    "num_hidden_layers",
    "hidden_size",
    "num_attention_heads",
    "intermediate_size",
    "vocab_size",
    "max_position_embeddings",
    "type_vocab_size",
)
ONE_GROUP = tuple(
    Demand(key, (1,), "the rebuilt encoder applies one block at every depth")
    for key in ("num_hidden_groups", "inner_group_num")
)
_EMBEDDING_SIZE = ConfigEvidence("embedding_size", "embedding_size", ("embedding_projection/kernel",))


def config_evidence(
    activations: Mapping[str, tuple[str, ...]], dropouts: tuple[str, ...], code: Mapping[str, Any], place: str
) -> tuple[ConfigEvidence | CodeEvidence, ...]:
    """The rows of a config: its sizes, activation and rates; and what the code at `place` fixes beside it.

    `dropouts` are the fields that `hidden_dropout_prob` tells; where the code has no dropout the rate is 0.
    """
    hidden = {"embedding_dropout", "attention_output_dropout", "intermediate_dropout", "output_dropout"}
    anchors = {"pooler_act": (_POOLER,), "mlm_layer_norm_eps": (_MASKED_LM,)}
    fixed = {"norm_first": False, "pooler_act": "tanh", **dict.fromkeys(sorted(hidden - set(dropouts)), 0.0), **code}
    return (
        *(ConfigEvidence(field, field) for field in _SIZES),
        _EMBEDDING_SIZE,
        ConfigEvidence("hidden_act", "hidden_act", means=activations),
        ConfigEvidence("mlm_act", "hidden_act", (_MASKED_LM,), means=activations),
        ConfigEvidence("attention_probs_dropout", "attention_probs_dropout_prob"),
        *(ConfigEvidence(field, "hidden_dropout_prob") for field in dropouts),
        *(CodeEvidence(field, value, place, anchors.get(field, ())) for field, value in fixed.items()),
    )
