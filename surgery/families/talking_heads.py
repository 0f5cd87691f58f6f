"""BERT with talking-heads attention (Shazeer et al., arXiv:2003.02436) and gated GELU (arXiv:2002.05202).

Hub's talkheads_* modules were written from Model Garden's EncoderScaffold. Its blocks have no names of their own: Keras
calls them `transformer_scaffold`, `transformer_scaffold_1` and so on, counting on within a process, so they are ranked.
The two layers of a block are named by role in one exporter and by class in another.
"""

from __future__ import annotations

from dataclasses import replace

from surgery.families.bert import BERT
from surgery.families.shared.rows import BLOCK, MASKED_LM, SUFFIX
from surgery.families.shared.taps import HIDDEN, INNER, MAP, attention_taps
from surgery.tables import readers as read
from surgery.tables import sublayers
from surgery.tables.evidence import GraphEvidence
from surgery.tables.family import POOLED_L2_NORM_EPS, Tap
from surgery.tables.recipe import Activation, BlockLayers, Constant, EncoderRecipe, LayerClass, Setting
from surgery.tables.rules import Dialect, WeightRule, move

ATTENTION = BLOCK + "/self_attention"
FEEDFORWARD = BLOCK + "/feedforward"


def _numbered(name: str) -> str:
    return name + "{" + name + ":(?:_[0-9]+)?}"


def _dialect(block: str, attention: str, feedforward: str) -> Dialect:
    attention, feedforward = f"{block}/{attention}", f"{block}/{feedforward}"
    return Dialect(
        generation={"dict": "G4 (Model Garden's TF Hub exporter)"},
        rules=(
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
_POST_SOFTMAX = ATTENTION + "/post_softmax_weight"
_ATTENTION_NORM = BLOCK + "/self_attention_layer_norm"
_NORMS = ("embeddings/layer_norm", _ATTENTION_NORM, FEEDFORWARD + "/output_layer_norm_0")
_LAYERS = "official.nlp.modeling.layers:"
_BLOCKS = "_hidden_layers[]"


def _taps() -> tuple[Tap, ...]:
    """All taps. The logits are already mixed across heads; the probabilities are mixed once more before they weigh."""
    attention = attention_taps("_attention_layer", ATTENTION)
    after_probabilities = [tap.name for tap in attention].index("attention_probs") + 1
    layer = "_feedforward_block"
    inside, gate, output = FEEDFORWARD + "/intermediate_0/bias", FEEDFORWARD + "/gate_0/bias", FEEDFORWARD + "/output_0"
    mixed = "the probabilities mixed across heads: these weigh the values"
    middle = "the middle of the block: the normed sum of input and attention"
    # fmt: off
    return (
        *attention[:after_probabilities],
        Tap(name="attention_probs_mixed", axes=MAP, meaning=mixed, side="input",
            layer="_attention_layer._dropout_layer", finder=sublayers.after_kernel, anchors=(_POST_SOFTMAX,)),
        *attention[after_probabilities:],
        Tap(name="attention_norm", axes=HIDDEN, meaning=middle,
            layer="_attention_layer_norm", finder=sublayers.after_norm, anchors=(_ATTENTION_NORM + "/beta",)),
        Tap(name="intermediate_preactivation", axes=INNER, meaning="inside the feed-forward, before the activation",
            layer=f"{layer}._intermediate_dense[0]", finder=sublayers.after_bias, anchors=(inside,)),
        Tap(name="intermediate", axes=INNER, meaning="inside the feed-forward, after the activation, not gated yet",
            layer=f"{layer}._inner_activation_layers[0]", finder=sublayers.gated, anchors=(gate,)),
        Tap(name="gate", axes=INNER, meaning="what gates it",
            layer=f"{layer}._gate_dense[0]", finder=sublayers.after_bias, anchors=(gate,)),
        Tap(name="intermediate_gated", axes=INNER, meaning="the activation times the gate", side="input",
            layer=f"{layer}._output_dense[0]", finder=sublayers.before_kernel, anchors=(f"{output}/kernel",)),
        Tap(name="ffn_output", axes=HIDDEN, meaning="the feed-forward's output, before the residual",
            layer=f"{layer}._output_dense[0]", finder=sublayers.after_bias, anchors=(f"{output}/bias",)),
    )
    # fmt: on


TALKING_HEADS = replace(
    BERT,
    name="talking_heads",
    no_library="transformers has no model whose attention heads talk, or whose feed-forward is gated",
    dialects=(
        _dialect(_SCAFFOLD, "self_attention", "feedforward"),
        _dialect(_SCAFFOLD, _numbered("talking_heads_attention"), _numbered("gated_feedforward")),
        _dialect(BLOCK, "self_attention", "feedforward"),
    ),
    sizes={**BERT.sizes, "talking": "num_talking_heads"},
    equal_unless=(("pooled", "hidden", ""), ("talking", "heads", "")),
    evidence=(
        GraphEvidence(field="attention_head_size", read=read.head_size, anchors=(_QUERY_BIAS,)),
        GraphEvidence(
            field="hidden_act",
            read=read.gated_activation,
            anchors=(
                FEEDFORWARD + "/intermediate_0/bias",
                FEEDFORWARD + "/gate_0/bias",
                FEEDFORWARD + "/output_0/kernel",
            ),
        ),
        GraphEvidence(field="pooler_act", read=read.activation_after, anchors=("cls_transform/bias",)),
        GraphEvidence(
            field=POOLED_L2_NORM_EPS, read=read.pooled_l2_norm_epsilon, anchors=("cls_transform/bias",), optional=True
        ),
        *(
            GraphEvidence(field="layer_norm_eps", read=read.layer_norm_epsilon, anchors=(norm + "/gamma",))
            for norm in _NORMS
        ),
        GraphEvidence(
            field="norm_first",
            read=read.norm_first,
            anchors=(ATTENTION + "/query/kernel", _ATTENTION_NORM + "/beta"),
        ),
        GraphEvidence(
            field="embedding_dropout",
            read=read.dropout_after_norm,
            anchors=("embeddings/layer_norm/beta",),
            training=True,
        ),
        GraphEvidence(
            field="attention_probs_dropout",
            read=read.dropout_on_product,
            anchors=(_POST_SOFTMAX,),
            training=True,
        ),
        GraphEvidence(
            field="attention_output_dropout",
            read=read.dropout_after_bias,
            anchors=(ATTENTION + "/attention_output/bias",),
            training=True,
        ),
        GraphEvidence(
            field="output_dropout",
            read=read.dropout_after_bias,
            anchors=(FEEDFORWARD + "/output_0/bias",),
            training=True,
        ),
        GraphEvidence(field="attention_mask_adder", read=read.mask_adder, anchors=(_QUERY_BIAS,), optional=True),
        *(row for row in BERT.evidence if row.callable == "mlm"),
    ),
    allowed={"pooler_act": ("tanh",), "norm_first": (False,)},
    taps=_taps(),
    encoder=EncoderRecipe(
        network="official.nlp.modeling.networks:EncoderScaffold",
        arguments={
            "pooled_output_dim": "hidden_size",
            "num_hidden_instances": "num_hidden_layers",
            "dict_outputs": Constant(value=True),
            "embedding_cfg": {
                "vocab_size": "vocab_size",
                "type_vocab_size": "type_vocab_size",
                "hidden_size": "hidden_size",
                "max_seq_length": "max_position_embeddings",
                "initializer": Constant(value="zeros"),
                "dropout_rate": "embedding_dropout",
            },
            "hidden_cls": BlockLayers(
                layer=LayerClass(path=_LAYERS + "TransformerScaffold"),
                arguments={
                    "name": Constant(value=BLOCK),
                    "num_attention_heads": "num_attention_heads",
                    "inner_dim": "intermediate_size",
                    "inner_activation": Activation(field="hidden_act"),
                    "attention_cls": LayerClass(path=_LAYERS + "TalkingHeadsAttention"),
                    "feedforward_cls": LayerClass(path=_LAYERS + "GatedFeedforward"),
                    "dropout_rate": "output_dropout",
                    "attention_dropout_rate": "attention_probs_dropout",
                },
            ),
        },
        outputs=BERT.encoder.outputs,
        blocks="_hidden_layers[]",
        writes={"attention_mask_adder": -1e9},
        settings=(
            Setting(layer="_embedding_norm_layer", attribute="epsilon", field="layer_norm_eps"),
            Setting(layer=f"{_BLOCKS}._attention_layer_norm", attribute="epsilon", field="layer_norm_eps"),
            Setting(
                layer=f"{_BLOCKS}._feedforward_block._output_layer_norm[]", attribute="epsilon", field="layer_norm_eps"
            ),
            Setting(layer=f"{_BLOCKS}._attention_dropout", attribute="rate", field="attention_output_dropout"),
        ),
        submodels=BERT.encoder.submodels,
    ),
    fields={
        name: field for name, field in BERT.fields.items() if name not in ("embedding_size", "intermediate_dropout")
    },
)
