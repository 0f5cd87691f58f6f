"""DistilBERT (Sanh et al., arXiv:1910.01108): BERT's blocks without token types and without a pooler.

Model Garden has no such encoder. surgery.tf.distilbert has one, with the names of Model Garden's BertEncoderV2.
"""

from __future__ import annotations

from dataclasses import replace

from surgery.families.bert import BERT
from surgery.families.publishers.hugging_face_distilbert import HUGGING_FACE
from surgery.families.publishers.hugging_face_tensorflow import in_tensorflow
from surgery.families.shared.rows import BLOCK, functional
from surgery.tables.family import POOLED_L2_NORM_EPS, EndAnchors
from surgery.tables.rules import Dialect

_LACKING = ("type_embeddings/", "pooler_transform/", "embedding_projection/")
"""Scopes of BERT's weights that no DistilBERT has."""
_FIELDS = ("type_vocab_size", "pooler_act", POOLED_L2_NORM_EPS)

OURS = Dialect(
    generation={"dict": "surgery's DistilBertEncoder"},
    rules=tuple(
        row for row in functional("", "self_attention/attention_output") if not (row.target or "").startswith(_LACKING)
    ),
)

DISTILBERT = replace(
    BERT,
    name="distilbert",
    dialects=(OURS, HUGGING_FACE, in_tensorflow(HUGGING_FACE, "distilbert")),
    sizes={axis: field for axis, field in BERT.sizes.items() if axis not in ("types", "pooled")},
    fields={name: field for name, field in BERT.fields.items() if name not in _FIELDS},
    equal_unless=(("embedding", "hidden", ""),),
    evidence=tuple(row for row in BERT.evidence if row.field not in _FIELDS),
    allowed={},
    inputs=tuple(anchor for anchor in BERT.inputs if anchor.name != "input_type_ids"),
    ends=EndAnchors(sequence=BLOCK + "/output_layer_norm/beta"),
    encoder=replace(
        BERT.encoder,
        network="surgery.tf.distilbert:DistilBertEncoder",
        arguments={name: value for name, value in BERT.encoder.arguments.items() if name != "type_vocab_size"},
        outputs={name: output for name, output in BERT.encoder.outputs.items() if name != "pooled_output"},
        optional={},
    ),
)
