"""Hugging Face's names, configs and code: transformers, models/{bert,electra,albert}/modeling_*.py.

Its configs distinguish both GELUs and name epsilon; torch's Linear keeps its kernel as [out, in]. Names in a checkpoint
of the bare model have no scope; in a checkpoint with a head they have the model's: `bert.`, `electra.`, `albert.`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from surgery.families.publishers.configs import config_evidence
from surgery.tables.evidence import ConfigEvidence, Demand
from surgery.tables.publisher import Names, Publisher
from surgery.tables.rules import WeightRule, drop, move

GENERATION = "Hugging Face transformers"
_SCOPE = r"{scope:(?:bert\.|electra\.|albert\.)?}"
_GAMMA, _BETA = "{leaf:(?:weight|gamma)}", "{leaf:(?:bias|beta)}"
_LEFT_BEHIND = (
    drop(_SCOPE + r"embeddings.{name:(?:position_ids|token_type_ids)}", because="a buffer that counts positions"),
    *(
        drop(head + r".{rest:.+}", because=f"{what} is no part of the encoder")
        for head, what in (
            ("cls", "the pre-training head"),
            ("predictions", "the masked-LM head"),
            ("sop_classifier", "the sentence-order head"),
            ("discriminator_predictions", "the discriminator's head"),
            ("{name:(?:generator_predictions|generator_lm_head)}", "the generator's head"),
            ("classifier", "a classification head"),
            ("qa_outputs", "a question-answering head"),
        )
    ),
)


def hugging_face_rows(block: str, target: str, names: Mapping[str, str]) -> tuple[WeightRule, ...]:
    """Rows for transformers' names.

    Args:
        block: Scope of a block.
        target: Scope of a block in the rebuilt encoder.
        names: Names of a block's sublayers, of the pooler and of the projection.
    """
    block = _SCOPE + block
    scoped = {name: _SCOPE + text for name, text in names.items() if name in ("pooler", "projection")}
    patterns = {name: f"{block}.{names[name]}" for name in ("query", "key", "value")}
    rows = [
        move(f"{_SCOPE}embeddings.{table}_embeddings.weight", f"{target_table}/embeddings", f"{axis} embedding")
        for table, target_table, axis in _TABLES
    ]
    rows += _norm(_SCOPE + "embeddings.LayerNorm", "embeddings/layer_norm", "embedding")
    for name, pattern in patterns.items():
        dense = f"{target}/self_attention/{name}"
        rows.append(move(f"{pattern}.weight", f"{dense}/kernel", "(heads size) hidden -> hidden heads size"))
        rows.append(move(f"{pattern}.bias", f"{dense}/bias", "(heads size) -> heads size"))
    output, dense = f"{block}.{names['attention_output']}", f"{target}/self_attention/attention_output"
    rows.append(move(f"{output}.weight", f"{dense}/kernel", "hidden (heads size) -> heads size hidden"))
    rows.append(move(f"{output}.bias", f"{dense}/bias", "hidden"))
    rows += _norm(f"{block}.{names['attention_norm']}", f"{target}/self_attention_layer_norm", "hidden")
    rows += _linear(f"{block}.{names['intermediate']}", f"{target}/intermediate", "inner", "hidden")
    rows += _linear(f"{block}.{names['output']}", f"{target}/output", "hidden", "inner")
    rows += _norm(f"{block}.{names['output_norm']}", f"{target}/output_layer_norm", "hidden")
    rows += [
        replace(row, optional="pooler") for row in _linear(scoped["pooler"], "pooler_transform", "pooled", "hidden")
    ]
    projected = _linear(scoped["projection"], "embedding_projection", "hidden", "embedding")
    rows += [replace(row, optional="embedding projection") for row in projected]
    return (*rows, *_LEFT_BEHIND)


_TABLES = (
    ("word", "word_embeddings", "vocab"),
    ("position", "position_embedding", "positions"),
    ("token_type", "type_embeddings", "types"),
)


def _linear(pattern: str, target: str, out: str, into: str) -> list[WeightRule]:
    return [
        move(f"{pattern}.weight", f"{target}/kernel", f"{out} {into} -> {into} {out}"),
        move(f"{pattern}.bias", f"{target}/bias", out),
    ]


def _norm(pattern: str, target: str, width: str) -> list[WeightRule]:
    """Rows of a norm, whose leaves are gamma and beta in early checkpoints, weight and bias in later ones."""
    return [
        move(f"{pattern}.{_GAMMA}", f"{target}/gamma", width),
        move(f"{pattern}.{_BETA}", f"{target}/beta", width),
    ]


def hugging_face_checkpoints(
    model_types: tuple[str, ...],
    names: Names,
    dropouts: tuple[str, ...],
    demands: tuple[Demand, ...] = (),
) -> Publisher:
    """transformers' checkpoints of a family.

    Args:
        model_types: Names of the architecture in the config.
        names: Transformers' names of the weights.
        dropouts: Fields that `hidden_dropout_prob` gives.
        demands: Demands on the config beyond those on all models.
    """
    activations = {
        "gelu": ("gelu",),
        "gelu_python": ("gelu",),
        "gelu_new": ("gelu_tanh",),
        "gelu_pytorch_tanh": ("gelu_tanh",),
        "relu": ("relu",),
    }
    return Publisher(
        model_types=model_types,
        evidence=(
            *config_evidence(
                activations,
                dropouts,
                # torch.finfo(torch.float32).min
                {"attention_mask_adder": -3.4028234663852886e38},
                "transformers, " + " and ".join(f"modeling_{name}.py" for name in model_types),
            ),
            ConfigEvidence(field="layer_norm_eps", key="layer_norm_eps"),
        ),
        demands=(
            Demand(
                key="position_embedding_type",
                allowed=("absolute", None),
                because="the rebuilt encoder has absolute positions only",
            ),
            Demand(key="is_decoder", allowed=(False,), because="the rebuilt encoder sees the whole sequence"),
            Demand(key="add_cross_attention", allowed=(False,), because="the rebuilt encoder attends to itself only"),
            Demand(key="pruned_heads", allowed=({}, None), because="the rebuilt encoder has all heads in every block"),
            *demands,
        ),
        names=names,
    )


# The names a second time, for the reference computation: a slip in the rows above must show.
BERT_NAMES = Names(
    words="embeddings.word_embeddings.weight",
    positions="embeddings.position_embeddings.weight",
    types="embeddings.token_type_embeddings.weight",
    embedding_norm="embeddings.LayerNorm",
    projection="embeddings_project",
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
    scopes=("", "bert.", "electra."),
    separator=".",
    kernel="weight",
    gamma=("weight", "gamma"),
    beta=("bias", "beta"),
    transposed=True,
)
ALBERT_NAMES = Names(
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
    scopes=("", "albert."),
    separator=".",
    kernel="weight",
    gamma=("weight", "gamma"),
    beta=("bias", "beta"),
    transposed=True,
)
