"""BERT with talking-heads attention (Shazeer et al., arXiv:2003.02436) and gated GELU (arXiv:2002.05202).

Hub's talkheads_* modules were written from Model Garden's EncoderScaffold. Its blocks have no names of their own: Keras
calls them `transformer_scaffold`, `transformer_scaffold_1` and so on, counting on within a process, so they are ranked.
The two layers of a block are named by role in one exporter and by class in another.
"""

from __future__ import annotations

from dataclasses import replace

from surgery.families.bert import BERT
from surgery.families.shared.rows import BLOCK, MASKED_LM, SUFFIX
from surgery.families.shared.taps import HIDDEN, MAP, attention_taps
from surgery.tables import readers as read
from surgery.tables import sublayers
from surgery.tables.evidence import GraphEvidence
from surgery.tables.family import Tap
from surgery.tables.recipe import Activation, BlockLayers, Constant, EncoderRecipe, LayerClass, Setting
from surgery.tables.rules import Dialect, WeightRule, move

ATTENTION = BLOCK + "/self_attention"
FEEDFORWARD = BLOCK + "/feedforward"


def _numbered(name: str) -> str:
    return name + "{" + name + ":(?:_[0-9]+)?}"


def _dialect(block: str, attention: str, feedforward: str) -> Dialect:
    attention, feedforward = f"{block}/{attention}", f"{block}/{feedforward}"
    return Dialect(
        {"dict": "G4 (Model Garden's TF Hub exporter)"},
        (
            move("word_embeddings/embeddings", "word_embeddings/embeddings", "vocab hidden"),
            move(f"position_embedding{SUFFIX}/embeddings", "position_embedding/embeddings", "positions hidden"),
            move("type_embeddings/embeddings", "type_embeddings/embeddings", "types hidden"),
            move("embeddings/layer_norm/{leaf:gamma|beta}", "embeddings/layer_norm/{leaf}", "hidden"),
            move(attention + "/{side:pre|post}_softmax_weight", ATTENTION + "/{side}_softmax_weight", "heads talking"),
            move(attention + "/{qkv:query|key|value}/kernel", ATTENTION + "/{qkv}/kernel", "hidden heads size"),
            move(attention + "/{qkv:query|key|value}/bias", ATTENTION + "/{qkv}/bias", "heads size"),
            move(f"{attention}/attention_output/kernel", f"{ATTENTION}/attention_output/kernel", "heads size hidden"),
            move(f"{attention}/attention_output/bias", f"{ATTENTION}/attention_output/bias", "hidden"),
            move(
                block + "/self_attention_layer_norm/{leaf:gamma|beta}",
                BLOCK + "/self_attention_layer_norm/{leaf}",
                "hidden",
            ),
            *_inner(feedforward, "intermediate_0"),
            *_inner(feedforward, "gate_0"),
            move(f"{feedforward}/output_0/kernel", f"{FEEDFORWARD}/output_0/kernel", "inner hidden"),
            move(f"{feedforward}/output_0/bias", f"{FEEDFORWARD}/output_0/bias", "hidden"),
            move(
                feedforward + "/output_layer_norm_0/{leaf:gamma|beta}",
                FEEDFORWARD + "/output_layer_norm_0/{leaf}",
                "hidden",
            ),
            move("cls_transform/kernel", "cls_transform/kernel", "hidden pooled"),
            move("cls_transform/bias", "cls_transform/bias", "pooled"),
            *MASKED_LM,
        ),
    )


def _inner(feedforward: str, name: str) -> tuple[WeightRule, ...]:
    return (
        move(f"{feedforward}/{name}/kernel", f"{FEEDFORWARD}/{name}/kernel", "hidden inner"),
        move(f"{feedforward}/{name}/bias", f"{FEEDFORWARD}/{name}/bias", "inner"),
    )


_SCAFFOLD = "transformer_scaffold{layer:(?:_[0-9]+)?}"
_QUERY_BIAS = ATTENTION + "/query/bias"
_NORMS = ("embeddings/layer_norm", BLOCK + "/self_attention_layer_norm", FEEDFORWARD + "/output_layer_norm_0")
_LAYERS = "official.nlp.modeling.layers:"
_BLOCKS = "_hidden_layers[]"


def _taps() -> tuple[Tap, ...]:
    """The logits are those that the heads have mixed; the probabilities are mixed once more before they weigh."""
    attention = attention_taps("_attention_layer", ATTENTION)
    mixed = Tap(
        "attention_probs_mixed",
        MAP,
        "the probabilities mixed across heads: these weigh the values",
        "_attention_layer._dropout_layer",
        "input",
        sublayers.after_kernel,
        (ATTENTION + "/post_softmax_weight",),
    )
    position = [tap.name for tap in attention].index("attention_probs") + 1
    block = "_feedforward_block"
    return (
        *attention[:position],
        mixed,
        *attention[position:],
        Tap(
            "attention_norm",
            HIDDEN,
            "the middle of the block: the normed sum of input and attention",
            "_attention_layer_norm",
            "output",
            sublayers.after_norm,
            (BLOCK + "/self_attention_layer_norm/beta",),
        ),
        *(
            Tap(name, "batch seq inner", meaning, f"{block}.{layer}[0]", side, finder, (FEEDFORWARD + anchor,))
            for name, meaning, layer, side, finder, anchor in (
                (
                    "intermediate_preactivation",
                    "inside the feed-forward, before the activation",
                    "_intermediate_dense",
                    "output",
                    sublayers.after_bias,
                    "/intermediate_0/bias",
                ),
                (
                    "intermediate",
                    "inside the feed-forward, after the activation, not gated yet",
                    "_inner_activation_layers",
                    "output",
                    sublayers.gated,
                    "/gate_0/bias",
                ),
                ("gate", "what gates it", "_gate_dense", "output", sublayers.after_bias, "/gate_0/bias"),
                (
                    "intermediate_gated",
                    "the activation times the gate",
                    "_output_dense",
                    "input",
                    sublayers.before_kernel,
                    "/output_0/kernel",
                ),
            )
        ),
        Tap(
            "ffn_output",
            HIDDEN,
            "the feed-forward's output, before the residual",
            f"{block}._output_dense[0]",
            "output",
            sublayers.after_bias,
            (FEEDFORWARD + "/output_0/bias",),
        ),
    )


TALKING_HEADS = replace(
    BERT,
    name="talking_heads",
    dialects=(
        _dialect(_SCAFFOLD, "self_attention", "feedforward"),
        _dialect(_SCAFFOLD, _numbered("talking_heads_attention"), _numbered("gated_feedforward")),
        _dialect(BLOCK, "self_attention", "feedforward"),
    ),
    sizes={**BERT.sizes, "talking": "num_talking_heads"},
    equal_unless=(("pooled", "hidden", ""), ("talking", "heads", "")),
    evidence=(
        GraphEvidence("attention_head_size", read.head_size, (_QUERY_BIAS,)),
        GraphEvidence(
            "hidden_act",
            read.gated_activation,
            (FEEDFORWARD + "/intermediate_0/bias", FEEDFORWARD + "/gate_0/bias", FEEDFORWARD + "/output_0/kernel"),
        ),
        GraphEvidence("pooler_act", read.activation_after, ("cls_transform/bias",)),
        *(GraphEvidence("layer_norm_eps", read.layer_norm_epsilon, (norm + "/gamma",)) for norm in _NORMS),
        GraphEvidence(
            "norm_first", read.norm_first, (ATTENTION + "/query/kernel", BLOCK + "/self_attention_layer_norm/beta")
        ),
        GraphEvidence("embedding_dropout", read.dropout_after_norm, ("embeddings/layer_norm/beta",), training=True),
        GraphEvidence(
            "attention_probs_dropout", read.dropout_on_product, (ATTENTION + "/post_softmax_weight",), training=True
        ),
        GraphEvidence(
            "attention_output_dropout",
            read.dropout_after_bias,
            (ATTENTION + "/attention_output/bias",),
            training=True,
        ),
        GraphEvidence("output_dropout", read.dropout_after_bias, (FEEDFORWARD + "/output_0/bias",), training=True),
        GraphEvidence("attention_mask_adder", read.mask_adder, (_QUERY_BIAS,), optional=True),
        *(row for row in BERT.evidence if row.callable == "mlm"),
    ),
    fixed={"pooler_act": "tanh", "norm_first": False},
    taps=_taps(),
    encoder=EncoderRecipe(
        network="official.nlp.modeling.networks:EncoderScaffold",
        arguments={
            "pooled_output_dim": "hidden_size",
            "num_hidden_instances": "num_hidden_layers",
            "dict_outputs": Constant(True),
            "embedding_cfg": {
                "vocab_size": "vocab_size",
                "type_vocab_size": "type_vocab_size",
                "hidden_size": "hidden_size",
                "max_seq_length": "max_position_embeddings",
                "initializer": Constant("zeros"),
                "dropout_rate": "embedding_dropout",
            },
            "hidden_cls": BlockLayers(
                LayerClass(_LAYERS + "TransformerScaffold"),
                {
                    "name": Constant(BLOCK),
                    "num_attention_heads": "num_attention_heads",
                    "inner_dim": "intermediate_size",
                    "inner_activation": Activation("hidden_act"),
                    "attention_cls": LayerClass(_LAYERS + "TalkingHeadsAttention"),
                    "feedforward_cls": LayerClass(_LAYERS + "GatedFeedforward"),
                    "dropout_rate": "output_dropout",
                    "attention_dropout_rate": "attention_probs_dropout",
                },
            ),
        },
        outputs=BERT.encoder.outputs,
        blocks="_hidden_layers[]",
        settings=(
            Setting("_embedding_norm_layer", "epsilon", "layer_norm_eps"),
            Setting(f"{_BLOCKS}._attention_layer_norm", "epsilon", "layer_norm_eps"),
            Setting(f"{_BLOCKS}._feedforward_block._output_layer_norm[]", "epsilon", "layer_norm_eps"),
            Setting(f"{_BLOCKS}._attention_dropout", "rate", "attention_output_dropout"),
        ),
        submodels=BERT.encoder.submodels,
    ),
    fields={
        name: field for name, field in BERT.fields.items() if name not in ("embedding_size", "intermediate_dropout")
    },
)
