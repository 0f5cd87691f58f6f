"""Hugging Face's MobileBERT: transformers, models/mobilebert/modeling_mobilebert.py."""

from __future__ import annotations

from dataclasses import replace

from surgery.families.publishers.configs import SIZES
from surgery.families.publishers.hugging_face import (
    ACTIVATIONS,
    CODE,
    DEMANDS,
    GENERATION,
    classifier_rows,
    left_behind,
    linear,
    norm,
    scoped,
    spelling,
)
from surgery.families.publishers.hugging_face_library import library
from surgery.families.shared.mobilebert import BLOCK, EMBEDDING, FFN, SHARED
from surgery.tables.evidence import CodeEvidence, ConfigEvidence, Demand
from surgery.tables.publisher import MobileBertNames, Publisher
from surgery.tables.rules import Dialect, WeightRule, drop, move

_PLACE = "transformers, modeling_mobilebert.py"
_NAMES = MobileBertNames(
    words="embeddings.word_embeddings.weight",
    positions="embeddings.position_embeddings.weight",
    types="embeddings.token_type_embeddings.weight",
    embedding_projection="embeddings.embedding_transformation",
    embedding_norm="embeddings.LayerNorm",
    block="encoder.layer.{}.",
    bottleneck_input="bottleneck.input",
    shared_bottleneck="bottleneck.attention",
    query="attention.self.query",
    key="attention.self.key",
    value="attention.self.value",
    attention_output="attention.output",
    stacked="ffn.{}.",
    intermediate="intermediate.dense",
    output="output",
    bottleneck_output="output.bottleneck",
    pooler="pooler.dense",
    dense="dense",
    norm="LayerNorm",
    classifier="classifier",
    spelling=spelling("mobilebert"),
)
"""The names a second time, for the reference computation: a slip in the rows below must show."""
_PUBLISHER = Publisher(
    model_types=("mobilebert",),
    evidence=(
        *(
            ConfigEvidence(field=field, key=field)
            for field in (
                *SIZES,
                "embedding_size",
                "intra_bottleneck_size",
                "num_feedforward_networks",
                "normalization_type",
                "key_query_shared_bottleneck",
                "use_bottleneck_attention",
                "classifier_activation",
            )
        ),
        ConfigEvidence(field="hidden_act", key="hidden_act", means=ACTIVATIONS),
        ConfigEvidence(field="attention_probs_dropout", key="attention_probs_dropout_prob"),
        ConfigEvidence(field="embedding_dropout", key="hidden_dropout_prob"),
        ConfigEvidence(field="output_dropout", key="hidden_dropout_prob"),
        # The one norm that is allowed, NoNorm, has no epsilon.
        CodeEvidence(field="layer_norm_eps", value=None, place=_PLACE),
        *(CodeEvidence(field=field, value=value, place=_PLACE) for field, value in CODE.items()),
    ),
    demands=(
        *DEMANDS,
        Demand(
            key="normalization_type",
            allowed=("no_norm",),
            because="transformers' layer norms of a MobileBERT have two epsilons, one from the config and torch's own",
        ),
        *(
            Demand(key=key, allowed=(True,), because="the rebuilt encoder is MobileBERT's as published")
            for key in ("trigram_input", "use_bottleneck")
        ),
    ),
    names=_NAMES,
    library=library("MobileBert", scope="mobilebert", divided="intra_bottleneck_size", masked_lm=False),
)


def hugging_face_mobilebert(query: str, value: str, *, shared: bool) -> Dialect:
    """transformers' names. The last feed-forward of a block has no number, and stands after those that have one.

    transformers makes queries and keys of a bottleneck in any case; it cannot make them of the block's wider input.

    Args:
        query: The axis from which queries and keys are made.
        value: The axis from which values are made.
        shared: Whether queries and keys have a bottleneck of their own.
    """
    scope = scoped("mobilebert")
    block, attention = f"{scope}encoder.layer.{{layer}}.", f"{BLOCK}/attention"
    embeddings = f"{scope}embeddings."
    rows = [
        move(f"{embeddings}word_embeddings.weight", f"{EMBEDDING}/word_embedding/embeddings", "vocab embedding"),
        move(f"{embeddings}token_type_embeddings.weight", f"{EMBEDDING}/type_embedding/embeddings", "types hidden"),
        move(
            f"{embeddings}position_embeddings.weight", f"{EMBEDDING}/position_embedding/embeddings", "positions hidden"
        ),
        move(
            f"{embeddings}embedding_transformation.weight",
            f"{EMBEDDING}/embedding_projection/kernel",
            "hidden (trigram embedding) -> (trigram embedding) hidden",
        ),
        move(f"{embeddings}embedding_transformation.bias", f"{EMBEDDING}/embedding_projection/bias", "hidden"),
        *norm(f"{embeddings}LayerNorm", f"{EMBEDDING}/embedding_norm", "hidden"),
        *(
            move(
                f"{block}attention.self.{name}.weight",
                f"{attention}/{name}/kernel",
                f"(heads size) {into} -> {into} heads size",
            )
            for name, into in (("query", query), ("key", query), ("value", value))
        ),
        *(
            move(f"{block}attention.self.{name}.bias", f"{attention}/{name}/bias", "(heads size) -> heads size")
            for name in ("query", "key", "value")
        ),
        move(
            f"{block}attention.output.dense.weight",
            f"{attention}/attention_output/kernel",
            "bottleneck (heads size) -> heads size bottleneck",
        ),
        move(f"{block}attention.output.dense.bias", f"{attention}/attention_output/bias", "bottleneck"),
        *norm(f"{block}attention.output.LayerNorm", f"{attention}/norm", "bottleneck"),
        *_bottleneck(f"{block}bottleneck.input", f"{BLOCK}/bottleneck_input", "bottleneck", "hidden"),
        *_bottleneck(f"{block}output.bottleneck", f"{BLOCK}/bottleneck_output", "hidden", "bottleneck"),
        *_feed_forward_rows(block),
        *(replace(row, optional="stacked feed-forwards") for row in _feed_forward_rows(f"{block}ffn.{{ffn}}.")),
        *(replace(row, optional="pooler") for row in linear(f"{scope}pooler.dense", "pooler", "pooled", "hidden")),
        *classifier_rows(),
    ]
    if shared:
        rows += _bottleneck(f"{block}bottleneck.attention", SHARED, "bottleneck", "hidden")
    heads = drop("cls.predictions.{rest:.+}", because="MobileBERT's masked-LM head is no part of the encoder")
    return Dialect(
        generation={"dict": GENERATION}, rules=(*rows, *left_behind("mobilebert", heads)), publisher=_PUBLISHER
    )


def _bottleneck(pattern: str, target: str, out: str, into: str) -> list[WeightRule]:
    return [
        *linear(f"{pattern}.dense", f"{target}/dense", out, into),
        *norm(f"{pattern}.LayerNorm", f"{target}/norm", out),
    ]


def _feed_forward_rows(scope: str) -> list[WeightRule]:
    return [
        *linear(f"{scope}intermediate.dense", f"{FFN}/intermediate_dense", "inner", "bottleneck"),
        *linear(f"{scope}output.dense", f"{FFN}/output_dense", "bottleneck", "inner"),
        *norm(f"{scope}output.LayerNorm", f"{FFN}/norm", "bottleneck"),
    ]
