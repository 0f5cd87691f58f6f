"""ALBERT (Lan et al., arXiv:1909.11942) as TF Hub serves it: one block's weights for all blocks, narrow embeddings.

Names are those of Model Garden's AlbertEncoder: BERT's, with one `transformer/` instead of `transformer/layer_i/`. The
list-call module `/1` names its attention output beside the attention, as BERT's second generation does. The names do
not count the blocks; the number is how often the graph applies the one block.
"""

from __future__ import annotations

from dataclasses import replace

from surgery.families.bert import BERT
from surgery.families.publishers.configs import ONE_GROUP
from surgery.families.publishers.google import ALBERT_NAMES as GOOGLE_NAMES
from surgery.families.publishers.google import google_checkpoints, google_rows
from surgery.families.publishers.hugging_face_albert import HUGGING_FACE
from surgery.families.publishers.hugging_face_tensorflow import in_tensorflow
from surgery.families.shared.albert import SHARED
from surgery.families.shared.rows import BLOCK, functional
from surgery.families.shared.taps import attention_taps, feed_forward_taps
from surgery.tables import readers as read
from surgery.tables.evidence import ConfigEvidence, GraphEvidence
from surgery.tables.family import BlockInput, EndAnchors
from surgery.tables.recipe import Activation, Constant, EncoderRecipe, OptionalLayer, Setting
from surgery.tables.rules import Dialect


def _evidence_of_shared_block() -> tuple[GraphEvidence, ...]:
    """BERT's evidence, anchored at the one block."""
    return tuple(replace(row, anchors=tuple(a.replace(BLOCK, SHARED) for a in row.anchors)) for row in BERT.evidence)


def _google(norm: dict[str, str]) -> Dialect:
    """google-research/albert's names; written under variable reuse, both norms of a block are one variable."""
    names = {
        "attention": "attention_1",
        "self_attention_layer_norm": "LayerNorm",
        "intermediate": "ffn_1/intermediate/dense",
        "output": "ffn_1/intermediate/output/dense",
        **norm,
    }
    block, projection = "bert/encoder/transformer/group_0/inner_group_0", "bert/encoder/embedding_hidden_mapping_in"
    return Dialect(
        generation={"dict": "TF1 (google-research/albert)"},
        rules=google_rows(block, SHARED, names, projection=projection),
        publisher=google_checkpoints("albert", GOOGLE_NAMES, SHARED, ONE_GROUP),
    )


_EMBEDDING_NORM = "layer:embeddings/layer_norm"
_BLOCK = f"layer:{SHARED}"

ALBERT = replace(
    BERT,
    name="albert",
    dialects=(
        Dialect(
            generation={"list": "G2 (Hub /1)"},
            rules=functional("", "self_attention_output", block=SHARED, projected=True),
        ),
        Dialect(
            generation={"list": "G3 (Model Garden 2.3, 2.4)", "dict": "G4 (Model Garden's TF Hub exporter)"},
            rules=functional("", "self_attention/attention_output", block=SHARED, projected=True),
        ),
        _google({"output_layer_norm": "LayerNorm_1"}),
        _google({}),
        HUGGING_FACE,
        # In TensorFlow, TFAlbertLayer does call its dropout after the feed-forward.
        in_tensorflow(
            HUGGING_FACE, "albert", more=(ConfigEvidence(field="output_dropout", key="hidden_dropout_prob"),)
        ),
    ),
    evidence=_evidence_of_shared_block(),
    repeated=f"{SHARED}/",
    depth=GraphEvidence(
        field="num_hidden_layers", read=read.applications, anchors=(f"{SHARED}/self_attention/query/kernel",)
    ),
    block_input=BlockInput(
        kernel=f"{SHARED}/self_attention/query/kernel",
        norm_gamma=f"{SHARED}/self_attention_layer_norm/gamma",
        norm_beta=f"{SHARED}/self_attention_layer_norm/beta",
    ),
    ends=EndAnchors(
        attention=f"{SHARED}/self_attention/query/bias",
        sequence=f"{SHARED}/output_layer_norm/beta",
        pooled="pooler_transform/bias",
    ),
    allowed={"pooler_act": ("tanh",), "norm_first": (False,)},
    taps=(*attention_taps("_attention_layer", f"{SHARED}/self_attention"), *feed_forward_taps(SHARED)),
    encoder=EncoderRecipe(
        network="official.nlp.modeling.networks:AlbertEncoder",
        arguments={
            "vocab_size": "vocab_size",
            "embedding_width": "embedding_size",
            "hidden_size": "hidden_size",
            "num_layers": "num_hidden_layers",
            "num_attention_heads": "num_attention_heads",
            "max_sequence_length": "max_position_embeddings",
            "type_vocab_size": "type_vocab_size",
            "intermediate_size": "intermediate_size",
            "activation": Activation(field="hidden_act"),
            "dropout_rate": "output_dropout",
            "attention_dropout_rate": "attention_probs_dropout",
            "dict_outputs": Constant(value=True),
        },
        outputs=BERT.encoder.outputs,
        blocks=_BLOCK,
        writes={"attention_mask_adder": -1e9},
        attention="_attention_layer",
        optional={"pooled_output": OptionalLayer(layer="layer:pooler_transform", scope="pooler_transform")},
        settings=(
            Setting(layer=_EMBEDDING_NORM, attribute="epsilon", field="layer_norm_eps"),
            Setting(layer=f"{_BLOCK}._attention_layer_norm", attribute="epsilon", field="layer_norm_eps"),
            Setting(layer=f"{_BLOCK}._output_layer_norm", attribute="epsilon", field="layer_norm_eps"),
            Setting(layer="class:Dropout", attribute="rate", field="embedding_dropout"),
            Setting(layer=f"{_BLOCK}._attention_dropout", attribute="rate", field="attention_output_dropout"),
            Setting(layer=f"{_BLOCK}._inner_dropout_layer", attribute="rate", field="intermediate_dropout"),
        ),
        submodels=BERT.encoder.submodels,
    ),
)
