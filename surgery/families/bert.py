"""BERT (Devlin et al., arXiv:1810.04805) as TF Hub serves it: every generation of names of one encoder.

G1 is the subclassed BertModel of October 2019, G2 the functional TransformerEncoder of Model Garden 2.1 and 2.2, G3
the BertEncoder of 2.3 and 2.4 (all three take a list), G4 every dict-call module since. ELECTRA's, LaBSE's, MuRIL's
and the experts' modules use the same names with other sizes.
"""

from __future__ import annotations

from surgery.families.publishers.google import BERT_NAMES as GOOGLE_NAMES
from surgery.families.publishers.google import google_checkpoints, google_rows
from surgery.families.publishers.hugging_face_bert import HUGGING_FACE, HUGGING_FACE_ELECTRA
from surgery.families.publishers.hugging_face_tensorflow import in_tensorflow
from surgery.families.shared.rows import BLOCK, block_rows, embeddings_rows, functional, pooler_rows
from surgery.families.shared.taps import attention_taps, feed_forward_taps
from surgery.tables import readers as read
from surgery.tables.evidence import GraphEvidence
from surgery.tables.family import POOLED_L2_NORM_EPS, BlockInput, EndAnchors, Family, InputAnchor
from surgery.tables.fields import Field
from surgery.tables.recipe import Activation, EncoderRecipe, OptionalLayer, Setting, SubmodelRecipe
from surgery.tables.rules import Dialect, move

_FLAT_ATTENTION = (
    move(
        "bert_model/encoder/layer_{layer}/self_attention/{qkv:query|key|value}/kernel",
        BLOCK + "/self_attention/{qkv}/kernel",
        "hidden (heads size) -> hidden heads size",
    ),
    move(
        "bert_model/encoder/layer_{layer}/self_attention/{qkv:query|key|value}/bias",
        BLOCK + "/self_attention/{qkv}/bias",
        "(heads size) -> heads size",
    ),
    move(
        "bert_model/encoder/layer_{layer}/self_attention_output/kernel",
        BLOCK + "/self_attention/attention_output/kernel",
        "(heads size) hidden -> heads size hidden",
    ),
    move(
        "bert_model/encoder/layer_{layer}/self_attention_output/bias",
        BLOCK + "/self_attention/attention_output/bias",
        "hidden",
    ),
)


G1 = Dialect(
    generation={"list": "G1 (BertModel, October 2019)"},
    rules=(
        *embeddings_rows(
            "bert_model/word_embeddings/embeddings",
            "bert_model/embedding_postprocessor/position_embeddings",
            "bert_model/embedding_postprocessor/type_embeddings",
            "bert_model/embedding_postprocessor/layer_norm",
        ),
        *_FLAT_ATTENTION,
        *block_rows("bert_model/encoder/layer_{layer}"),
        *pooler_rows("bert_model/pooler_transform"),
    ),
)
G2 = Dialect(generation={"list": "G2 (Model Garden 2.1, 2.2)"}, rules=functional("", "self_attention_output"))
G3_G4 = Dialect(
    generation={"list": "G3 (Model Garden 2.3, 2.4)", "dict": "G4 (Model Garden's TF Hub exporter)"},
    rules=functional("", "self_attention/attention_output"),
)
G4_V2 = Dialect(
    generation={"dict": "G4 (exported from BertEncoderV2)"},
    rules=functional("bert_encoder_v2{number:(?:_[0-9]+)?}/", "self_attention/attention_output"),
)

TF1 = Dialect(
    generation={"dict": "TF1 (google-research/bert)"},
    rules=google_rows(
        "bert/encoder/layer_{layer}",
        BLOCK,
        {
            "attention": "attention",
            "self_attention_layer_norm": "attention/output/LayerNorm",
            "intermediate": "intermediate/dense",
            "output": "output/dense",
            "output_layer_norm": "output/LayerNorm",
        },
    ),
    publisher=google_checkpoints("bert", GOOGLE_NAMES, BLOCK),
)

_QUERY_BIAS = BLOCK + "/self_attention/query/bias"

EVIDENCE = (
    GraphEvidence(field="attention_head_size", read=read.head_size, anchors=(_QUERY_BIAS,)),
    GraphEvidence(
        field="hidden_act", read=read.activation, anchors=(BLOCK + "/intermediate/bias", BLOCK + "/output/kernel")
    ),
    GraphEvidence(field="pooler_act", read=read.activation_after, anchors=("pooler_transform/bias",)),
    GraphEvidence(
        field=POOLED_L2_NORM_EPS, read=read.pooled_l2_norm_epsilon, anchors=("pooler_transform/bias",), optional=True
    ),
    GraphEvidence(field="layer_norm_eps", read=read.layer_norm_epsilon, anchors=("embeddings/layer_norm/gamma",)),
    GraphEvidence(
        field="layer_norm_eps", read=read.layer_norm_epsilon, anchors=(BLOCK + "/self_attention_layer_norm/gamma",)
    ),
    GraphEvidence(field="layer_norm_eps", read=read.layer_norm_epsilon, anchors=(BLOCK + "/output_layer_norm/gamma",)),
    GraphEvidence(
        field="norm_first",
        read=read.norm_first,
        anchors=(BLOCK + "/self_attention/query/kernel", BLOCK + "/self_attention_layer_norm/beta"),
    ),
    GraphEvidence(
        field="embedding_dropout", read=read.dropout_after_norm, anchors=("embeddings/layer_norm/beta",), training=True
    ),
    GraphEvidence(
        field="attention_probs_dropout", read=read.dropout_on_probabilities, anchors=(_QUERY_BIAS,), training=True
    ),
    GraphEvidence(
        field="attention_output_dropout",
        read=read.dropout_after_bias,
        anchors=(BLOCK + "/self_attention/attention_output/bias",),
        training=True,
    ),
    GraphEvidence(
        field="intermediate_dropout", read=read.dropout_before, anchors=(BLOCK + "/output/kernel",), training=True
    ),
    GraphEvidence(
        field="output_dropout", read=read.dropout_after_bias, anchors=(BLOCK + "/output/bias",), training=True
    ),
    GraphEvidence(field="attention_mask_adder", read=read.mask_adder, anchors=(_QUERY_BIAS,), optional=True),
    GraphEvidence(
        field="mlm_act",
        read=read.activation_before_norm,
        anchors=("cls/predictions/transform/dense/bias", "cls/predictions/transform/LayerNorm/gamma"),
        callable="mlm",
    ),
    GraphEvidence(
        field="mlm_layer_norm_eps",
        read=read.layer_norm_epsilon,
        anchors=("cls/predictions/transform/LayerNorm/gamma",),
        callable="mlm",
    ),
)

_BLOCKS = "_transformer_layers[]"

BERT = Family(
    name="bert",
    dialects=(
        G1,
        G2,
        G3_G4,
        G4_V2,
        TF1,
        HUGGING_FACE,
        HUGGING_FACE_ELECTRA,
        in_tensorflow(HUGGING_FACE, "bert"),
        in_tensorflow(HUGGING_FACE_ELECTRA, "electra"),
    ),
    sizes={
        "hidden": "hidden_size",
        "heads": "num_attention_heads",
        "size": "attention_head_size",
        "inner": "intermediate_size",
        "vocab": "vocab_size",
        "positions": "max_position_embeddings",
        "types": "type_vocab_size",
        "embedding": "embedding_size",
        "pooled": "pooled_size",
    },
    fields={
        "num_hidden_layers": Field(meaning="blocks", kind="size"),
        "hidden_size": Field(meaning="width of a block's output", kind="size"),
        "num_attention_heads": Field(meaning="attention heads per block", kind="size"),
        "attention_head_size": Field(meaning="width of a head", kind="size"),
        "intermediate_size": Field(meaning="width inside the feed-forward", kind="size"),
        "vocab_size": Field(meaning="rows of the word embedding", kind="size"),
        "max_position_embeddings": Field(meaning="longest sequence, in tokens", kind="size"),
        "type_vocab_size": Field(meaning="segments", kind="size"),
        "embedding_size": Field(meaning="width of the embeddings", kind="size"),
        "hidden_act": Field(
            meaning="inside the feed-forward: gelu is exact, gelu_tanh its approximation", kind="activation"
        ),
        "pooler_act": Field(meaning="activation of the pooler", kind="activation"),
        POOLED_L2_NORM_EPS: Field(
            meaning="the pooled output has the length 1: the least sum of squares by whose root it is divided",
            kind="epsilon",
        ),
        "layer_norm_eps": Field(meaning="added to the variance in every norm", kind="epsilon"),
        "norm_first": Field(meaning="a block norms its input (pre-norm), not its sums (post-norm)", kind="flag"),
        "embedding_dropout": Field(meaning="rate on the normed embeddings", kind="rate"),
        "attention_probs_dropout": Field(meaning="rate on the attention probabilities", kind="rate"),
        "attention_output_dropout": Field(meaning="rate on the attention's output projection", kind="rate"),
        "intermediate_dropout": Field(meaning="rate inside the feed-forward", kind="rate"),
        "output_dropout": Field(meaning="rate on the feed-forward's output", kind="rate"),
        "attention_mask_adder": Field(
            meaning="added to the logits of padding; the rebuilt encoder adds -1e9", kind="number"
        ),
        "mlm_act": Field(meaning="activation of the masked-LM head", kind="activation"),
        "mlm_layer_norm_eps": Field(meaning="added to the variance in the masked-LM head's norm", kind="epsilon"),
    },
    equal_unless=(("embedding", "hidden", "embedding_projection/kernel"), ("pooled", "hidden", "")),
    evidence=EVIDENCE,
    allowed={"pooler_act": ("tanh", "gelu", "gelu_tanh", "relu")},
    inputs=(
        InputAnchor(name="input_word_ids", table="word_embeddings/embeddings"),
        InputAnchor(name="input_mask", table=None),
        InputAnchor(name="input_type_ids", table="type_embeddings/embeddings"),
    ),
    block_input=BlockInput(
        kernel=BLOCK + "/self_attention/query/kernel",
        norm_gamma=BLOCK + "/self_attention_layer_norm/gamma",
        norm_beta=BLOCK + "/self_attention_layer_norm/beta",
    ),
    ends=EndAnchors(attention=_QUERY_BIAS, sequence=BLOCK + "/output_layer_norm/beta", pooled="pooler_transform/bias"),
    taps=(*attention_taps("_attention_layer", f"{BLOCK}/self_attention"), *feed_forward_taps(BLOCK)),
    encoder=EncoderRecipe(
        network="official.nlp.modeling.networks:BertEncoderV2",
        arguments={
            "vocab_size": "vocab_size",
            "hidden_size": "hidden_size",
            "num_layers": "num_hidden_layers",
            "num_attention_heads": "num_attention_heads",
            "max_sequence_length": "max_position_embeddings",
            "type_vocab_size": "type_vocab_size",
            "inner_dim": "intermediate_size",
            "inner_activation": Activation(field="hidden_act"),
            "output_dropout": "output_dropout",
            "attention_dropout": "attention_probs_dropout",
            "embedding_width": "embedding_size",
            "norm_first": "norm_first",
        },
        outputs={
            "pooled_output": "pooled_output",
            "sequence_output": "sequence_output",
            "encoder_outputs": "encoder_outputs",
        },
        blocks="_transformer_layers[]",
        writes={"attention_mask_adder": -1e9},
        attention="_attention_layer",
        optional={"pooled_output": OptionalLayer(layer="_pooler_layer", scope="pooler_transform")},
        settings=(
            Setting(layer="_embedding_norm_layer", attribute="epsilon", field="layer_norm_eps"),
            Setting(layer=f"{_BLOCKS}._attention_layer_norm", attribute="epsilon", field="layer_norm_eps"),
            Setting(layer=f"{_BLOCKS}._output_layer_norm", attribute="epsilon", field="layer_norm_eps"),
            Setting(layer="_pooler_layer", attribute="activation", field=Activation(field="pooler_act")),
            Setting(layer="_embedding_dropout", attribute="rate", field="embedding_dropout"),
            Setting(layer=f"{_BLOCKS}._attention_dropout", attribute="rate", field="attention_output_dropout"),
            Setting(layer=f"{_BLOCKS}._inner_dropout_layer", attribute="rate", field="intermediate_dropout"),
        ),
        submodels={
            "mlm": SubmodelRecipe(
                layer="official.nlp.modeling.layers:MaskedLM",
                scope="cls/predictions",
                positions="masked_lm_positions",
                logits="mlm_logits",
                activation="mlm_act",
                settings=(Setting(layer="layer_norm", attribute="epsilon", field="mlm_layer_norm_eps"),),
                also_called=("mlm_positions",),
            )
        },
    ),
)
