"""MobileBERT (Sun et al., arXiv:2004.02984): narrow blocks between bottlenecks, trigrams, stacked feed-forwards.

Names are those of Model Garden's MobileBERTEncoder, which is also the exporter of Hub's modules. `no_norm` is the
paper's elementwise affine map; its teacher has layer norms instead. Queries and keys come from a bottleneck of their
own, from the block's input, or from the block's bottleneck; the graph shows which.
"""

from __future__ import annotations

from surgery.families.bert import BERT
from surgery.families.publishers.hugging_face_mobilebert import hugging_face_mobilebert
from surgery.families.shared.mobilebert import BLOCK, EMBEDDING, FFN, SHARED
from surgery.families.shared.rows import KEPT_HEAD
from surgery.families.shared.taps import HIDDEN, INNER, MAP, attention_taps
from surgery.tables import readers as read
from surgery.tables import sublayers
from surgery.tables.evidence import GraphEvidence
from surgery.tables.family import BlockInput, EndAnchors, Family, InputAnchor, Tap
from surgery.tables.fields import Field
from surgery.tables.recipe import Activation, EncoderRecipe, Setting
from surgery.tables.rules import Dialect, WeightRule, move


def _dense(name: str, kernel: str, bias: str, group: str | None = None) -> tuple[WeightRule, ...]:
    return (
        move(f"{name}/kernel", f"{name}/kernel", kernel, optional=group),
        move(f"{name}/bias", f"{name}/bias", bias, optional=group),
    )


def _norm(name: str, size: str) -> tuple[WeightRule, ...]:
    return (move(name + "/{leaf:gamma|beta}", name + "/{leaf}", size),)


def _embeddings() -> tuple[WeightRule, ...]:
    pattern = EMBEDDING + "{number:(?:_[0-9]+)?}"
    return (
        move(f"{pattern}/word_embedding/embeddings", f"{EMBEDDING}/word_embedding/embeddings", "vocab embedding"),
        move(f"{pattern}/type_embedding/embeddings", f"{EMBEDDING}/type_embedding/embeddings", "types hidden"),
        move(
            f"{pattern}/position_embedding/embeddings", f"{EMBEDDING}/position_embedding/embeddings", "positions hidden"
        ),
        move(
            f"{pattern}/embedding_projection/kernel",
            f"{EMBEDDING}/embedding_projection/kernel",
            "(trigram embedding) hidden",
        ),
        move(f"{pattern}/embedding_projection/bias", f"{EMBEDDING}/embedding_projection/bias", "hidden"),
        move(pattern + "/embedding_norm/{leaf:gamma|beta}", EMBEDDING + "/embedding_norm/{leaf}", "hidden"),
    )


def _dialect(query: str, value: str, *shared: WeightRule) -> Dialect:
    """A dialect: `query` is the axis from which queries and keys are made, `value` the axis from which values are."""
    attention = BLOCK + "/attention"
    return Dialect(
        generation={"dict": "G4 (Model Garden's TF Hub exporter)"},
        rules=(
            *_embeddings(),
            move(attention + "/{qk:query|key}/kernel", attention + "/{qk}/kernel", f"{query} heads size"),
            move(f"{attention}/value/kernel", f"{attention}/value/kernel", f"{value} heads size"),
            move(attention + "/{qkv:query|key|value}/bias", attention + "/{qkv}/bias", "heads size"),
            *_dense(f"{attention}/attention_output", "heads size bottleneck", "bottleneck"),
            *_norm(f"{attention}/norm", "bottleneck"),
            *_dense(f"{BLOCK}/bottleneck_input/dense", "hidden bottleneck", "bottleneck"),
            *_norm(f"{BLOCK}/bottleneck_input/norm", "bottleneck"),
            *_dense(f"{BLOCK}/bottleneck_output/dense", "bottleneck hidden", "hidden"),
            *_norm(f"{BLOCK}/bottleneck_output/norm", "hidden"),
            *_dense(f"{FFN}/intermediate_dense", "bottleneck inner", "inner"),
            *_dense(f"{FFN}/output_dense", "inner bottleneck", "bottleneck"),
            *_norm(f"{FFN}/norm", "bottleneck"),
            *_dense("pooler", "hidden pooled", "pooled", group="pooler"),
            KEPT_HEAD,
            *shared,
        ),
    )


_QUERY = BLOCK + "/attention/query"
_NORMS = (
    f"{EMBEDDING}/embedding_norm",
    BLOCK + "/bottleneck_input/norm",
    BLOCK + "/attention/norm",
    FFN + "/norm",
    BLOCK + "/bottleneck_output/norm",
)


def _taps() -> tuple[Tap, ...]:
    """All taps. `intermediate` and `ffn_output` belong to the last stacked feed-forward, `ffn_0_…` to each of them."""
    narrow = "batch seq bottleneck"
    attention, bottlenecks, stacked = "block_layers[attention]", "block_layers[bottleneck_input]", "block_layers[ffn]"
    shared = "block_layers[kq_shared_bottleneck]"
    middle = "the middle of the block: the normed sum of bottleneck and attention"
    # fmt: off
    return (
        Tap(name="bottleneck_input", axes=narrow, meaning="the block's input, narrowed and normed",
            layer=f"{bottlenecks}[1]", finder=sublayers.after_norm, anchors=(BLOCK + "/bottleneck_input/norm/beta",)),
        Tap(name="kq_shared_bottleneck", axes=narrow, meaning="what queries and keys are made of",
            layer=f"{shared}[1]", finder=sublayers.after_norm, anchors=(SHARED + "/norm/beta",),
            when=(("key_query_shared_bottleneck", True),)),
        *attention_taps(f"{attention}[0]", BLOCK + "/attention", width="bottleneck"),
        Tap(name="attention_norm", axes=narrow, meaning=middle,
            layer=f"{attention}[1]", finder=sublayers.after_norm, anchors=(BLOCK + "/attention/norm/beta",)),
        *_feed_forward("ffn_{ffn}_intermediate", "ffn_{ffn}_output", stacked + "[{ffn}]", FFN, counted="ffn"),
        Tap(name="ffn_{ffn}_norm", axes=narrow, meaning="the normed sum after a stacked feed-forward", counted="ffn",
            layer=stacked + "[{ffn}][2]", finder=sublayers.after_norm, anchors=(FFN + "/norm/beta",)),
        *_feed_forward("intermediate", "ffn_output", f"{stacked}[-1]", BLOCK + "/ffn_layer_{last_ffn}"),
        Tap(name="bottleneck_output", axes=HIDDEN, meaning="the block's output widened again, before the residual",
            layer="block_layers[bottleneck_output][0]", finder=sublayers.after_bias,
            anchors=(BLOCK + "/bottleneck_output/dense/bias",)),
    )
    # fmt: on


def _feed_forward(inside: str, output: str, layer: str, scope: str, *, counted: str | None = None) -> tuple[Tap, ...]:
    """The taps `inside` and `output` of one stacked feed-forward, or of each where `counted` names their number."""
    which = "a stacked feed-forward" if counted else "the last stacked feed-forward"
    kernel, bias = f"{scope}/output_dense/kernel", f"{scope}/output_dense/bias"
    # fmt: off
    return (
        Tap(name=inside, axes=INNER, meaning=f"inside {which}, after the activation",
            layer=f"{layer}[0]", finder=sublayers.before_kernel, anchors=(kernel,), counted=counted),
        Tap(name=output, axes="batch seq bottleneck", meaning=f"the output of {which}, before the residual",
            layer=f"{layer}[1]", finder=sublayers.after_bias, anchors=(bias,), counted=counted),
    )
    # fmt: on


MOBILEBERT = Family(
    name="mobilebert",
    dialects=(
        _dialect(
            "bottleneck",
            "hidden",
            *_dense(f"{SHARED}/dense", "hidden bottleneck", "bottleneck"),
            *_norm(f"{SHARED}/norm", "bottleneck"),
        ),
        _dialect("attended", "attended"),
        hugging_face_mobilebert("bottleneck", "hidden", shared=True),
        hugging_face_mobilebert("bottleneck", "bottleneck", shared=False),
    ),
    sizes={
        **BERT.sizes,
        "bottleneck": "intra_bottleneck_size",
        "trigram": "trigram_size",
        "attended": "attention_input_size",
    },
    equal_unless=(("pooled", "hidden", ""),),
    evidence=(
        GraphEvidence(field="attention_head_size", read=read.head_size, anchors=(_QUERY + "/bias",)),
        GraphEvidence(
            field="hidden_act",
            read=read.activation,
            anchors=(FFN + "/intermediate_dense/bias", FFN + "/output_dense/kernel"),
        ),
        *(
            GraphEvidence(field="normalization_type", read=read.norm_kind, anchors=(norm + "/gamma",))
            for norm in _NORMS
        ),
        *(
            GraphEvidence(field="layer_norm_eps", read=read.epsilon_if_any, anchors=(norm + "/gamma",))
            for norm in _NORMS
        ),
        GraphEvidence(
            field="use_bottleneck_attention",
            read=read.fed_by_norm,
            anchors=(_QUERY + "/kernel", BLOCK + "/bottleneck_input/norm/beta"),
        ),
        GraphEvidence(
            field="key_query_shared_bottleneck",
            read=read.fed_by_norm,
            anchors=(_QUERY + "/kernel", SHARED + "/norm/beta"),
            absent=False,
        ),
        GraphEvidence(field="classifier_activation", read=read.tanh_follows, anchors=("pooler/bias",), absent=False),
        GraphEvidence(
            field="embedding_dropout",
            read=read.dropout_after_norm,
            anchors=(f"{EMBEDDING}/embedding_norm/beta",),
            training=True,
        ),
        GraphEvidence(
            field="attention_probs_dropout",
            read=read.dropout_on_probabilities,
            anchors=(_QUERY + "/bias",),
            training=True,
        ),
        GraphEvidence(
            field="output_dropout",
            read=read.dropout_after_bias,
            anchors=(BLOCK + "/bottleneck_output/dense/bias",),
            training=True,
        ),
        GraphEvidence(field="attention_mask_adder", read=read.mask_adder, anchors=(_QUERY + "/bias",), optional=True),
    ),
    allowed={"trigram_size": (3,)},
    counts={"layer": "num_hidden_layers", "ffn": "num_feedforward_networks"},
    lists={"encoder_outputs": 1, "attention_scores": 0},
    axes={**BERT.axes, "attention_scores": MAP},
    inputs=(
        InputAnchor(name="input_word_ids", table=f"{EMBEDDING}/word_embedding/embeddings"),
        InputAnchor(name="input_mask", table=None),
        InputAnchor(name="input_type_ids", table=f"{EMBEDDING}/type_embedding/embeddings"),
    ),
    block_input=BlockInput(kernel=BLOCK + "/bottleneck_input/dense/kernel"),
    ends=EndAnchors(attention=_QUERY + "/bias", sequence=BLOCK + "/bottleneck_output/norm/beta", pooled="pooler/bias"),
    taps=_taps(),
    no_taps={
        "intermediate_preactivation": "its dense layers apply the activation themselves, nothing stands in between",
    },
    # Its embedding joins each token's with those of its neighbours: a convolution of width 3 (Sun et al., 2020).
    right_context=1,
    encoder=EncoderRecipe(
        network="official.nlp.modeling.networks:MobileBERTEncoder",
        arguments={
            "word_vocab_size": "vocab_size",
            "word_embed_size": "embedding_size",
            "type_vocab_size": "type_vocab_size",
            "max_sequence_length": "max_position_embeddings",
            "num_blocks": "num_hidden_layers",
            "hidden_size": "hidden_size",
            "num_attention_heads": "num_attention_heads",
            "intermediate_size": "intermediate_size",
            "intermediate_act_fn": Activation(field="hidden_act"),
            "hidden_dropout_prob": "output_dropout",
            "attention_probs_dropout_prob": "attention_probs_dropout",
            "intra_bottleneck_size": "intra_bottleneck_size",
            "use_bottleneck_attention": "use_bottleneck_attention",
            "key_query_shared_bottleneck": "key_query_shared_bottleneck",
            "num_feedforward_networks": "num_feedforward_networks",
            "normalization_type": "normalization_type",
            "classifier_activation": "classifier_activation",
        },
        outputs={name: name for name in ("pooled_output", "sequence_output", "encoder_outputs", "attention_scores")},
        blocks="_transformer_layers[]",
        writes={"attention_mask_adder": -1e9},
        attention="block_layers[attention][0]",
        block_returns=2,
        renames=((rf"^{EMBEDDING}_[0-9]+/", f"{EMBEDDING}/"),),
        settings=(Setting(layer="embedding_layer.dropout_layer", attribute="rate", field="embedding_dropout"),),
    ),
    fields={
        **{
            name: BERT.fields[name]
            for name in (
                "num_hidden_layers",
                "hidden_size",
                "num_attention_heads",
                "attention_head_size",
                "intermediate_size",
                "vocab_size",
                "max_position_embeddings",
                "type_vocab_size",
                "embedding_size",
                "hidden_act",
            )
        },
        "intra_bottleneck_size": Field(meaning="width inside a block", kind="size"),
        "num_feedforward_networks": Field(meaning="feed-forwards stacked in a block", kind="size"),
        "normalization_type": Field(meaning="layer_norm, or no_norm: an elementwise affine map", kind="activation"),
        "layer_norm_eps": Field(meaning="added to the variance in every norm; none with no_norm", kind="epsilon"),
        "key_query_shared_bottleneck": Field(
            meaning="queries and keys come from a bottleneck of their own", kind="flag"
        ),
        "use_bottleneck_attention": Field(
            meaning="queries, keys and values come from the block's bottleneck", kind="flag"
        ),
        "classifier_activation": Field(
            meaning="the pooled output is a dense layer with tanh, not the raw first token", kind="flag"
        ),
        **{
            name: BERT.fields[name]
            for name in ("embedding_dropout", "attention_probs_dropout", "output_dropout", "attention_mask_adder")
        },
    },
)
