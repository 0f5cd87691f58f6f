"""Hugging Face's DistilBERT: transformers, models/distilbert/modeling_distilbert.py.

Its config has names of its own for what other models name alike, and its code fixes epsilon: each LayerNorm is made
with eps=1e-12. The option `sinusoidal_pos_embds` only says how the position embeddings of a new model are made; a
checkpoint has them like any others.
"""

from __future__ import annotations

from surgery.families.publishers.configs import MASKED_LM_KERNEL
from surgery.families.publishers.hugging_face import (
    ACTIVATIONS,
    CODE,
    DEMANDS,
    GENERATION,
    TABLES,
    hugging_face_rows,
    spelling,
)
from surgery.families.publishers.hugging_face_library import library
from surgery.families.shared.rows import BLOCK
from surgery.tables.evidence import CodeEvidence, ConfigEvidence
from surgery.tables.publisher import Names, Publisher
from surgery.tables.rules import Dialect

_PLACE = "transformers, modeling_distilbert.py"
_KEYS = {
    "num_hidden_layers": "n_layers",
    "hidden_size": "dim",
    "num_attention_heads": "n_heads",
    "intermediate_size": "hidden_dim",
    "vocab_size": "vocab_size",
    "max_position_embeddings": "max_position_embeddings",
    "attention_probs_dropout": "attention_dropout",
    "embedding_dropout": "dropout",
    "output_dropout": "dropout",
}
_FIXED = {
    **CODE,
    "norm_first": False,
    "layer_norm_eps": 1e-12,
    # TransformerBlock adds the attention's output to its input as it is, and FFN drops out its result only.
    "attention_output_dropout": 0.0,
    "intermediate_dropout": 0.0,
}
# The names a second time, for the reference computation: a slip in the rows below must show.
_NAMES = Names(
    words="embeddings.word_embeddings.weight",
    positions="embeddings.position_embeddings.weight",
    types="",
    embedding_norm="embeddings.LayerNorm",
    projection="",
    block="transformer.layer.{}.",
    query="attention.q_lin",
    key="attention.k_lin",
    value="attention.v_lin",
    attention_output="attention.out_lin",
    attention_norm="sa_layer_norm",
    intermediate="ffn.lin1",
    output="ffn.lin2",
    output_norm=("output_layer_norm",),
    pooler="",
    mlm_dense="vocab_transform",
    mlm_norm="vocab_layer_norm",
    mlm_bias="vocab_projector.bias",
    classifier="classifier",
    classifier_hidden="pre_classifier",
    classifier_act="relu",
    spelling=spelling("distilbert"),
)

HUGGING_FACE = Dialect(
    generation={"dict": GENERATION},
    rules=hugging_face_rows(
        "distilbert",
        "transformer.layer.{layer}",
        BLOCK,
        {
            "query": "attention.q_lin",
            "key": "attention.k_lin",
            "value": "attention.v_lin",
            "attention_output": "attention.out_lin",
            "attention_norm": "sa_layer_norm",
            "intermediate": "ffn.lin1",
            "output": "ffn.lin2",
            "output_norm": "output_layer_norm",
            "mlm_dense": "vocab_transform",
            "mlm_norm": "vocab_layer_norm",
            "mlm_bias": "vocab_projector.bias",
            "mlm_decoder": "vocab_projector.weight",
            "classifier_hidden": "pre_classifier",
        },
        {table: row for table, row in TABLES.items() if table != "token_type_embeddings"},
    ),
    publisher=Publisher(
        model_types=("distilbert",),
        evidence=(
            *(ConfigEvidence(field=field, key=key) for field, key in _KEYS.items()),
            ConfigEvidence(field="hidden_act", key="activation", means=ACTIVATIONS),
            ConfigEvidence(field="mlm_act", key="activation", means=ACTIVATIONS, anchors=(MASKED_LM_KERNEL,)),
            *(CodeEvidence(field=field, value=value, place=_PLACE) for field, value in _FIXED.items()),
            CodeEvidence(field="mlm_layer_norm_eps", value=1e-12, place=_PLACE, anchors=(MASKED_LM_KERNEL,)),
        ),
        demands=DEMANDS,
        names=_NAMES,
        # DistilBertForSequenceClassification applies ReLU, whatever the config's activation.
        library=library(
            "DistilBert", scope="distilbert", classifier_act="relu", classifier_dropout="seq_classif_dropout"
        ),
    ),
)
