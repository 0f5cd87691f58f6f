"""google-research's TF1 names, in its TF Hub modules and checkpoints; for the latter also its configs and code.

Its modeling.py (bert and albert) norms with tf.contrib.layers.layer_norm, whose epsilon is 1e-12, and adds -10000 to
the logits of padding. Its "gelu" was the exact one in 2018 and the approximation by tanh from 2019 on. A graph beside
the checkpoint shows which one is meant; without a graph the word has the meaning of today's code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from surgery.families.publishers.configs import config_evidence
from surgery.families.shared.rows import MASKED_LM, embeddings_rows, pooler_rows
from surgery.tables import readers as read
from surgery.tables.evidence import Demand, GraphEvidence
from surgery.tables.publisher import Names, Publisher
from surgery.tables.rules import WeightRule, drop, move

LEFT_BEHIND = (
    drop(
        "{name:.+}/{slot:(?:adam_[mv]|lamb_[mv]|Adam|Adam_1|AdamWeightDecayOptimizer|AdamWeightDecayOptimizer_1)}",
        because="a slot of the optimiser, which only resumed training needs",
    ),
    drop(
        "{name:(?:global_step|beta[12]_power)}", because="a counter of the optimiser, which only resumed training needs"
    ),
    drop("cls/seq_relationship/{leaf}", because="the next-sentence head is no part of the encoder"),
    drop("cls/squad/{leaf}", because="a question-answering head is no part of the encoder"),
    drop("{name:(?:output_weights|output_bias)}", because="a classification head is no part of the encoder"),
)
"""Rows of the variables that training leaves in a checkpoint beside the encoder and its masked-LM head."""


def google_rows(
    block: str, target: str, names: Mapping[str, str], *, projection: str | None = None
) -> tuple[WeightRule, ...]:
    """Rows for google-research's names.

    Args:
        block: Scope of a block.
        target: Scope of a block in the rebuilt encoder.
        names: Names of the sublayers below a block, by their names in the rebuilt encoder. Without a name for
            `output_layer_norm` a block has one norm, which it applies twice.
        projection: Name of the dense layer from embedding size to hidden size; None where there is none.
    """
    attention = f"{block}/{names['attention']}"
    flat = "hidden (heads size) -> hidden heads size"
    rows = [
        *embeddings_rows(
            "bert/embeddings/word_embeddings",
            "bert/embeddings/position_embeddings",
            "bert/embeddings/token_type_embeddings",
            "bert/embeddings/LayerNorm",
        ),
        move(attention + "/self/{qkv:query|key|value}/kernel", target + "/self_attention/{qkv}/kernel", flat),
        move(
            attention + "/self/{qkv:query|key|value}/bias",
            target + "/self_attention/{qkv}/bias",
            "(heads size) -> heads size",
        ),
        move(
            f"{attention}/output/dense/kernel",
            f"{target}/self_attention/attention_output/kernel",
            "(heads size) hidden -> heads size hidden",
        ),
        move(f"{attention}/output/dense/bias", f"{target}/self_attention/attention_output/bias", "hidden"),
        *pooler_rows("bert/pooler/dense", optional="pooler"),
        *(replace(row, pattern=row.pattern.replace("output_bias/bias", "output_bias")) for row in MASKED_LM),
    ]
    norms = {name: "/".join((target, name, "{leaf}")) for name in ("self_attention_layer_norm", "output_layer_norm")}
    for name, norm in norms.items():
        if name in names:
            also = norms["output_layer_norm"] if "output_layer_norm" not in names else None
            rows.append(move(f"{block}/{names[name]}/{{leaf:gamma|beta}}", norm, "hidden", also=also))
    for name, kernel, bias in (("intermediate", "hidden inner", "inner"), ("output", "inner hidden", "hidden")):
        rows.append(move(f"{block}/{names[name]}/kernel", f"{target}/{name}/kernel", kernel))
        rows.append(move(f"{block}/{names[name]}/bias", f"{target}/{name}/bias", bias))
    if projection is not None:
        rows.append(move(f"{projection}/kernel", "embedding_projection/kernel", "embedding hidden"))
        rows.append(move(f"{projection}/bias", "embedding_projection/bias", "hidden"))
    return (*rows, *LEFT_BEHIND)


def google_checkpoints(model: str, names: Names, anchor: str, demands: tuple[Demand, ...] = ()) -> Publisher:
    """google-research's checkpoints of a family.

    Args:
        model: The architecture, "bert" or "albert".
        names: Google-research's names of the weights.
        anchor: Scope of a block in the targets.
        demands: Demands on the config.
    """
    activation = (f"{anchor}/intermediate/bias", f"{anchor}/output/kernel")
    return Publisher(
        model_types=(None, model),
        evidence=config_evidence(
            {"gelu": ("gelu_tanh", "gelu"), "relu": ("relu",)},
            ("embedding_dropout", "attention_output_dropout", "output_dropout"),
            {"layer_norm_eps": 1e-12, "mlm_layer_norm_eps": 1e-12, "attention_mask_adder": -10000.0},
            f"google-research/{model}, modeling.py",
        ),
        graph=(
            GraphEvidence(field="hidden_act", read=read.activation, anchors=activation, optional=True),
            GraphEvidence(
                field="layer_norm_eps",
                read=read.layer_norm_epsilon,
                anchors=("embeddings/layer_norm/gamma",),
                optional=True,
            ),
        ),
        demands=demands,
        names=names,
    )


# The names a second time, for the reference computation: a slip in the rows above must show.
BERT_NAMES = Names(
    words="bert/embeddings/word_embeddings",
    positions="bert/embeddings/position_embeddings",
    types="bert/embeddings/token_type_embeddings",
    embedding_norm="bert/embeddings/LayerNorm",
    projection="",
    block="bert/encoder/layer_{}/",
    query="attention/self/query",
    key="attention/self/key",
    value="attention/self/value",
    attention_output="attention/output/dense",
    attention_norm="attention/output/LayerNorm",
    intermediate="intermediate/dense",
    output="output/dense",
    output_norm=("output/LayerNorm",),
    pooler="bert/pooler/dense",
    mlm_dense="cls/predictions/transform/dense",
    mlm_norm="cls/predictions/transform/LayerNorm",
    mlm_bias="cls/predictions/output_bias",
)
ALBERT_NAMES = Names(
    words="bert/embeddings/word_embeddings",
    positions="bert/embeddings/position_embeddings",
    types="bert/embeddings/token_type_embeddings",
    embedding_norm="bert/embeddings/LayerNorm",
    projection="bert/encoder/embedding_hidden_mapping_in",
    block="bert/encoder/transformer/group_0/inner_group_0/",
    query="attention_1/self/query",
    key="attention_1/self/key",
    value="attention_1/self/value",
    attention_output="attention_1/output/dense",
    attention_norm="LayerNorm",
    intermediate="ffn_1/intermediate/dense",
    output="ffn_1/intermediate/output/dense",
    output_norm=("LayerNorm_1", "LayerNorm"),
    pooler="bert/pooler/dense",
    mlm_dense="cls/predictions/transform/dense",
    mlm_norm="cls/predictions/transform/LayerNorm",
    mlm_bias="cls/predictions/output_bias",
)
