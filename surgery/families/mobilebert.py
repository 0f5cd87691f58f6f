"""MobileBERT (Sun et al., arXiv:2004.02984): narrow blocks between bottlenecks, trigrams, stacked feed-forwards.

Names are those of Model Garden's MobileBERTEncoder, which is also the exporter of Hub's modules. `no_norm` is the
paper's elementwise affine map; its teacher has layer norms instead. Queries and keys come from a bottleneck of their
own, from the block's input, or from the block's bottleneck: the graph says which.
"""

from __future__ import annotations

from surgery.families.bert import BERT
from surgery.families.shared.taps import HIDDEN, attention_taps
from surgery.tables import readers as read
from surgery.tables import sublayers
from surgery.tables.evidence import GraphEvidence
from surgery.tables.family import BlockInput, Family, InputAnchor, Tap
from surgery.tables.fields import Field
from surgery.tables.recipe import Activation, EncoderRecipe, Setting
from surgery.tables.rules import Dialect, WeightRule, move

BLOCK = "transformer_layer_{layer}"
FFN = BLOCK + "/ffn_layer_{ffn}"
EMBEDDING = "mobile_bert_embedding"


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
    """`query` and `value` are the axes from which queries and keys, and values, are made."""
    attention = BLOCK + "/attention"
    return Dialect(
        {"dict": "G4 (Model Garden's TF Hub exporter)"},
        (
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
            *shared,
        ),
    )


_SHARED = BLOCK + "/kq_shared_bottleneck"
_QUERY = BLOCK + "/attention/query"
_NORMS = (
    f"{EMBEDDING}/embedding_norm",
    BLOCK + "/bottleneck_input/norm",
    BLOCK + "/attention/norm",
    FFN + "/norm",
    BLOCK + "/bottleneck_output/norm",
)


def _taps() -> tuple[Tap, ...]:
    """`intermediate` and `ffn_output` are those of the last stacked feed-forward; each of them is there as well."""
    narrow, bottleneck = "batch seq bottleneck", "block_layers[bottleneck_input][1]"
    last = "block_layers[ffn][-1]"

    def feed_forward(number: str, path: str, anchor: str, counted: str | None) -> tuple[Tap, ...]:
        what = "a stacked feed-forward" if counted else "the last stacked feed-forward"
        return (
            Tap(
                f"{number}intermediate",
                "batch seq inner",
                f"inside {what}, after the activation",
                f"{path}[0]",
                "output",
                sublayers.before_kernel,
                (f"{anchor}/output_dense/kernel",),
                counted=counted,
            ),
            Tap(
                f"{number}output" if counted else "ffn_output",
                narrow,
                f"the output of {what}, before the residual",
                f"{path}[1]",
                "output",
                sublayers.after_bias,
                (f"{anchor}/output_dense/bias",),
                counted=counted,
            ),
        )

    return (
        Tap(
            "bottleneck_input",
            narrow,
            "the block's input, narrowed and normed",
            bottleneck,
            "output",
            sublayers.after_norm,
            (BLOCK + "/bottleneck_input/norm/beta",),
        ),
        Tap(
            "kq_shared_bottleneck",
            narrow,
            "what queries and keys are made of",
            "block_layers[kq_shared_bottleneck][1]",
            "output",
            sublayers.after_norm,
            (_SHARED + "/norm/beta",),
            when=(("key_query_shared_bottleneck", True),),
        ),
        *attention_taps("block_layers[attention][0]", BLOCK + "/attention", width="bottleneck"),
        Tap(
            "attention_norm",
            narrow,
            "the middle of the block: the normed sum of bottleneck and attention",
            "block_layers[attention][1]",
            "output",
            sublayers.after_norm,
            (BLOCK + "/attention/norm/beta",),
        ),
        *feed_forward("ffn_{ffn}_", "block_layers[ffn][{ffn}]", FFN, "ffn"),
        Tap(
            "ffn_{ffn}_norm",
            narrow,
            "the normed sum after a stacked feed-forward",
            "block_layers[ffn][{ffn}][2]",
            "output",
            sublayers.after_norm,
            (FFN + "/norm/beta",),
            counted="ffn",
        ),
        *feed_forward("", last, BLOCK + "/ffn_layer_{last_ffn}", None),
        Tap(
            "bottleneck_output",
            HIDDEN,
            "the block's output widened again, before the residual",
            "block_layers[bottleneck_output][0]",
            "output",
            sublayers.after_bias,
            (BLOCK + "/bottleneck_output/dense/bias",),
        ),
    )


MOBILEBERT = Family(
    name="mobilebert",
    dialects=(
        _dialect(
            "bottleneck",
            "hidden",
            *_dense(f"{_SHARED}/dense", "hidden bottleneck", "bottleneck"),
            *_norm(f"{_SHARED}/norm", "bottleneck"),
        ),
        _dialect("attended", "attended"),
    ),
    sizes={
        **BERT.sizes,
        "bottleneck": "intra_bottleneck_size",
        "trigram": "trigram_size",
        "attended": "attention_input_size",
    },
    equal_unless=(("pooled", "hidden", ""),),
    evidence=(
        GraphEvidence("attention_head_size", read.head_size, (_QUERY + "/bias",)),
        GraphEvidence("hidden_act", read.activation, (FFN + "/intermediate_dense/bias", FFN + "/output_dense/kernel")),
        *(GraphEvidence("normalization_type", read.norm_kind, (norm + "/gamma",)) for norm in _NORMS),
        *(GraphEvidence("layer_norm_eps", read.epsilon_if_any, (norm + "/gamma",)) for norm in _NORMS),
        GraphEvidence(
            "use_bottleneck_attention", read.fed_by_norm, (_QUERY + "/kernel", BLOCK + "/bottleneck_input/norm/beta")
        ),
        GraphEvidence(
            "key_query_shared_bottleneck",
            read.fed_by_norm,
            (_QUERY + "/kernel", _SHARED + "/norm/beta"),
            absent=False,
        ),
        GraphEvidence("classifier_activation", read.tanh_follows, ("pooler/bias",), absent=False),
        GraphEvidence(
            "embedding_dropout", read.dropout_after_norm, (f"{EMBEDDING}/embedding_norm/beta",), training=True
        ),
        GraphEvidence("attention_probs_dropout", read.dropout_on_probabilities, (_QUERY + "/bias",), training=True),
        GraphEvidence(
            "output_dropout", read.dropout_after_bias, (BLOCK + "/bottleneck_output/dense/bias",), training=True
        ),
        GraphEvidence("attention_mask_adder", read.mask_adder, (_QUERY + "/bias",), optional=True),
    ),
    fixed={"trigram_size": 3},
    counts={"layer": "num_hidden_layers", "ffn": "num_feedforward_networks"},
    lists={"encoder_outputs": 1, "attention_scores": 0},
    inputs=(
        InputAnchor("input_word_ids", f"{EMBEDDING}/word_embedding/embeddings"),
        InputAnchor("input_mask", None),
        InputAnchor("input_type_ids", f"{EMBEDDING}/type_embedding/embeddings"),
    ),
    block_input=BlockInput(BLOCK + "/bottleneck_input/dense/kernel"),
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
            "intermediate_act_fn": Activation("hidden_act"),
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
        attention="block_layers[attention][0]",
        block_returns=2,
        renames=((rf"^{EMBEDDING}_[0-9]+/", f"{EMBEDDING}/"),),
        settings=(Setting("embedding_layer.dropout_layer", "rate", "embedding_dropout"),),
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
        "intra_bottleneck_size": Field("width inside a block", "size"),
        "num_feedforward_networks": Field("feed-forwards stacked in a block", "size"),
        "normalization_type": Field("layer_norm, or no_norm: an elementwise affine map", "activation"),
        "layer_norm_eps": Field("added to the variance in every norm; none with no_norm", "epsilon"),
        "key_query_shared_bottleneck": Field("queries and keys come from a bottleneck of their own", "flag"),
        "use_bottleneck_attention": Field("queries, keys and values come from the block's bottleneck", "flag"),
        "classifier_activation": Field("the pooled output is a dense layer with tanh, not the raw first token", "flag"),
        **{
            name: BERT.fields[name]
            for name in ("embedding_dropout", "attention_probs_dropout", "output_dropout", "attention_mask_adder")
        },
    },
)
