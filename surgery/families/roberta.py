"""RoBERTa (Liu et al., arXiv:1907.11692), with XLM-R (arXiv:1911.02116) and CamemBERT: BERT with other positions.

Positions are counted from the id of padding, over the tokens that are no padding. Model Garden has no such encoder.
surgery.tf.roberta has one, with the names of Model Garden's BertEncoderV2 except for that table's. Published models
have one token type; their exports do not ask for it.
"""

from __future__ import annotations

from dataclasses import replace

from surgery.families.bert import BERT
from surgery.families.publishers.hugging_face_roberta import POSITIONS, hugging_face_roberta
from surgery.families.publishers.hugging_face_tensorflow import in_tensorflow
from surgery.families.shared.rows import BLOCK, functional
from surgery.tables.evidence import GraphEvidence
from surgery.tables.family import EndAnchors
from surgery.tables.fields import Field
from surgery.tables.rules import Dialect, WeightRule, move
from surgery.tables.token_positions import padding_of_positions


def _without_projection(rows: tuple[WeightRule, ...]) -> tuple[WeightRule, ...]:
    return tuple(row for row in rows if not (row.target or "").startswith("embedding_projection/"))


_TABLE = f"{POSITIONS}/embeddings"
_OWN_ROWS = functional("", "self_attention/attention_output")
OURS = Dialect(
    generation={"dict": "surgery's RobertaEncoder"},
    rules=(
        *(row for row in _without_projection(_OWN_ROWS) if row.target != "position_embedding/embeddings"),
        move(_TABLE, _TABLE, "positions embedding"),
    ),
)

_HUGGING_FACE = hugging_face_roberta("roberta", "Roberta")

ROBERTA = replace(
    BERT,
    name="roberta",
    dialects=(
        OURS,
        _HUGGING_FACE,
        hugging_face_roberta("xlm-roberta", "XLMRoberta"),
        hugging_face_roberta("camembert", "Camembert"),
        in_tensorflow(_HUGGING_FACE, "roberta", model_types=("roberta", "xlm-roberta", "camembert")),
    ),
    fields={
        **BERT.fields,
        "max_position_embeddings": Field(
            meaning="rows of the position table; those up to pad_token_id stand for no token", kind="size"
        ),
        "pad_token_id": Field(
            meaning="the id of padding; positions count from the next number, tokens only", kind="id"
        ),
    },
    equal_unless=(("embedding", "hidden", ""), ("pooled", "hidden", "")),
    evidence=(
        *BERT.evidence,
        GraphEvidence(field="pad_token_id", read=padding_of_positions, anchors=(_TABLE,)),
    ),
    inputs=tuple(
        replace(anchor, choice="types") if anchor.name == "input_type_ids" else anchor for anchor in BERT.inputs
    ),
    ends=EndAnchors(sequence=BLOCK + "/output_layer_norm/beta", pooled="pooler_transform/bias"),
    encoder=replace(
        BERT.encoder,
        network="surgery.tf.roberta:RobertaEncoder",
        arguments={**BERT.encoder.arguments, "pad_token_id": "pad_token_id"},
    ),
)
