"""Samples that convert, by source: archives in tests/modules, unless it says otherwise. Needs no TensorFlow."""

from __future__ import annotations

TF2_SAMPLES = (
    "g2_small",
    "g3_small",
    "g4_bert_mlm",
    "g4_bert_dropouts",
    "g4_electra",
    "g4_bert_v2",
    "g4_prenorm",
    "g4_albert",
    "g4_albert_dropout",
    "g4_mobilebert",
    "g4_mobilebert_layer_norm",
    "g4_talkheads",
)
TF1_SAMPLES = ("tf1_bert_small", "tf1_albert_small")
HUGGING_FACE_SAMPLES = ("hf_bert", "hf_bert_gelu_new", "hf_albert", "hf_electra")
TF1_CHECKPOINTS = {"tf1_bert_checkpoint": "tf1_bert_small", "tf1_albert_checkpoint": "tf1_albert_small"}
"""TF1 checkpoints by name, each made of the variables of a TF1 module: builders.checkpoints.build_released."""

CHECKPOINT_SAMPLES = (*HUGGING_FACE_SAMPLES, *TF1_CHECKPOINTS)
"""Sources without a graph: they cannot be loaded, only their exports."""

LAYER_SAMPLES = ("g2_small", "g4_electra", "g4_albert", "g4_mobilebert", "g4_talkheads")
"""Modules that the tests convert from inside a layer."""

SUPPORT = {
    ("BERT", "TF2 SavedModel"): ("g2_small", "g3_small", "g4_bert_mlm", "g4_bert_v2", "g4_prenorm"),
    ("BERT", "re-saved around a `hub.KerasLayer`"): ("g2_small",),
    ("BERT", "TF1 `hub.Module`"): ("tf1_bert_small",),
    ("BERT", "TF1 checkpoint"): ("tf1_bert_checkpoint",),
    ("BERT", "Hugging Face checkpoint"): ("hf_bert", "hf_bert_gelu_new"),
    ("ELECTRA", "TF2 SavedModel"): ("g4_electra",),
    ("ELECTRA", "re-saved around a `hub.KerasLayer`"): ("g4_electra",),
    ("ELECTRA", "Hugging Face checkpoint"): ("hf_electra",),
    ("ALBERT", "TF2 SavedModel"): ("g4_albert", "g4_albert_dropout"),
    ("ALBERT", "re-saved around a `hub.KerasLayer`"): ("g4_albert",),
    ("ALBERT", "TF1 `hub.Module`"): ("tf1_albert_small",),
    ("ALBERT", "TF1 checkpoint"): ("tf1_albert_checkpoint",),
    ("ALBERT", "Hugging Face checkpoint"): ("hf_albert",),
    ("MobileBERT", "TF2 SavedModel"): ("g4_mobilebert", "g4_mobilebert_layer_norm"),
    ("MobileBERT", "re-saved around a `hub.KerasLayer`"): ("g4_mobilebert",),
    ("BERT with talking heads", "TF2 SavedModel"): ("g4_talkheads",),
    ("BERT with talking heads", "re-saved around a `hub.KerasLayer`"): ("g4_talkheads",),
}
"""What converts, by family and source, and the samples whose conversion proves it: the table in docs/modules.md."""
