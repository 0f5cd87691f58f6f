"""Rows that BERT and its relatives share: Model Garden's names for a block, the embeddings, the pooler and the heads.

Each generation of names is put together from these in the family's own table.
"""

from __future__ import annotations

from surgery.tables.rules import WeightRule, drop, move

BLOCK = "transformer/layer_{layer}"


def embeddings_rows(word: str, position: str, token_type: str, norm: str) -> tuple[WeightRule, ...]:
    """Rows of the three embedding tables and their norm."""
    return (
        move(word, "word_embeddings/embeddings", "vocab embedding"),
        move(position, "position_embedding/embeddings", "positions embedding"),
        move(token_type, "type_embeddings/embeddings", "types embedding"),
        move(norm + "/{leaf:gamma|beta}", "embeddings/layer_norm/{leaf}", "embedding"),
    )


def block_rows(block: str, target: str = BLOCK) -> tuple[WeightRule, ...]:
    """Rows that all generations share except for the scope of a block."""
    return (
        move(
            block + "/self_attention_layer_norm/{leaf:gamma|beta}",
            target + "/self_attention_layer_norm/{leaf}",
            "hidden",
        ),
        move(block + "/intermediate/kernel", target + "/intermediate/kernel", "hidden inner"),
        move(block + "/intermediate/bias", target + "/intermediate/bias", "inner"),
        move(block + "/output/kernel", target + "/output/kernel", "inner hidden"),
        move(block + "/output/bias", target + "/output/bias", "hidden"),
        move(block + "/output_layer_norm/{leaf:gamma|beta}", target + "/output_layer_norm/{leaf}", "hidden"),
    )


def pooler_rows(name: str, *, optional: str | None = None) -> tuple[WeightRule, ...]:
    """Rows of the pooler, a dense layer of this name; `optional` is their group (see WeightRule)."""
    return (
        move(name + "/kernel", "pooler_transform/kernel", "hidden pooled", optional=optional),
        move(name + "/bias", "pooler_transform/bias", "pooled", optional=optional),
    )


def _attention(block: str, output: str, target: str = BLOCK) -> tuple[WeightRule, ...]:
    """Attention with a head axis; the output projection is named `output` below the block."""
    return (
        move(
            block + "/self_attention/{qkv:query|key|value}/kernel",
            target + "/self_attention/{qkv}/kernel",
            "hidden heads size",
        ),
        move(block + "/self_attention/{qkv:query|key|value}/bias", target + "/self_attention/{qkv}/bias", "heads size"),
        move(f"{block}/{output}/kernel", target + "/self_attention/attention_output/kernel", "heads size hidden"),
        move(f"{block}/{output}/bias", target + "/self_attention/attention_output/bias", "hidden"),
    )


SUFFIX = "{suffix:(?:_[0-9]+)?}"
"""Keras numbers a layer name that the process has used before: `position_embedding_1`."""


def _projection(scope: str, group: str | None) -> tuple[WeightRule, ...]:
    name, target = scope + "embedding_projection", "embedding_projection"
    return (
        move(name + "/kernel", target + "/kernel", "embedding hidden", optional=group),
        move(name + "/bias", target + "/bias", "hidden", optional=group),
    )


_MASKED_LM_SCOPE = "{model:(?:bert/)?}cls/predictions"
MASKED_LM = tuple(
    move(f"{_MASKED_LM_SCOPE}/{name}", f"cls/predictions/{name}", layout, part="mlm", optional="masked-LM head")
    for name, layout in (
        ("output_bias/bias", "vocab"),
        ("transform/dense/kernel", "hidden embedding"),
        ("transform/dense/bias", "embedding"),
        ("transform/LayerNorm/gamma", "embedding"),
        ("transform/LayerNorm/beta", "embedding"),
    )
)


KEPT_HEAD = drop(
    "classifier/{hidden:(?:dense/)?}{leaf:(?:kernel|bias)}",
    because="the head that an export keeps is no part of its encoder",
)


def functional(
    scope: str, attention_output: str, *, block: str = BLOCK, projected: bool = False
) -> tuple[WeightRule, ...]:
    """Rows of G2 and later: the names of Model Garden's functional encoders.

    Args:
        scope: Scope of all names, "" for none.
        attention_output: Name of the attention's output projection below a block.
        block: Scope of a block, in the module and in the target.
        projected: True where the embeddings are always projected to the hidden size.
    """
    return (
        *embeddings_rows(
            scope + "word_embeddings/embeddings",
            scope + f"position_embedding{SUFFIX}/embeddings",
            scope + "type_embeddings/embeddings",
            scope + "embeddings/layer_norm",
        ),
        *_projection(scope, None if projected else "embedding projection"),
        *_attention(scope + block, attention_output, block),
        *block_rows(scope + block, block),
        *pooler_rows(scope + "pooler_transform", optional="pooler"),
        *MASKED_LM,
        KEPT_HEAD,
    )
