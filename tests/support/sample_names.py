"""The samples by name, and which of them serve which tests. Archives in tests/modules, unless it says otherwise."""

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
HUGGING_FACE_SAMPLES = (
    "hf_bert",
    "hf_bert_gelu_new",
    "hf_albert",
    "hf_electra",
    "hf_distilbert",
    "hf_roberta",
    "hf_xlm_roberta",
)
TRANSFORMERS_SAMPLES = ("hf_tf_bert", "hf_tf_electra", "hf_tf_albert", "hf_tf_distilbert", "hf_tf_roberta")
"""SavedModels of transformers' TensorFlow classes, which tests/whole/convert/test_transformers_saved_models.py
converts."""
TF1_CHECKPOINTS = {"tf1_bert_checkpoint": "tf1_bert_small", "tf1_albert_checkpoint": "tf1_albert_small"}
"""TF1 checkpoints by name, each made of the variables of a TF1 module: builders.checkpoints.build_released."""

SHARP_SAMPLES = ("g2_sharp", "tf1_sharp")
"""Modules of twelve blocks with weights that amplify rounding: a right export differs by up to 3e-4 in float32."""

CHECKPOINT_SAMPLES = (*HUGGING_FACE_SAMPLES, *TF1_CHECKPOINTS)
"""Sources without a graph: they cannot be loaded, only their exports."""

SAMPLES = (*TF2_SAMPLES, *TF1_SAMPLES, *CHECKPOINT_SAMPLES)
"""All that lie packed, and the checkpoints made of them."""

BUILT = (
    "g1",
    "g1_exact",
    "exact_gelu_epsilon_1e-3",
    "relu_epsilon_1e-5",
    "narrow_embedding_mlm",
    "no_encoder_outputs",
    "no_vocab",
    "one_type",
    "unusual_sizes",
    "list_call",
    "one_block",
    "tf1_bert_training",
    "tf1_albert_training",
    "hf_bert_pretraining",
    "hf_bert_no_pooler",
    "hf_bert_epsilon",
    "hf_albert_dropouts",
)
"""What the builders make besides: tests/support/samples.py says how."""

GRAPH_SAMPLES = ("g1_built", *TF2_SAMPLES, *TF1_SAMPLES, *TRANSFORMERS_SAMPLES)
"""Sources with a graph, among them a module of the first generation that the early builder once made."""

BERT_MODULES = ("g2_small", "g3_small", "g4_bert_mlm", "g4_electra", "g4_bert_v2", "g4_prenorm")
"""One module for each form of BERT's block and each exporter."""

WITHOUT_POOLER = ("hf_electra", "hf_bert_no_pooler", "hf_distilbert", "hf_xlm_roberta")
"""Those that have no pooled output, and whose exports have none either."""

TAPPED_MODULES = (
    "g1",
    *BERT_MODULES,
    "g4_albert",
    "g4_mobilebert",
    "g4_mobilebert_layer_norm",
    "g4_talkheads",
    *TF1_SAMPLES,
)
TAPPED_CHECKPOINTS = ("hf_bert", "hf_albert", "hf_electra", "hf_roberta")
TAPPED = (*TAPPED_MODULES, *TAPPED_CHECKPOINTS)
"""Converted with every tap: each family, generation and source, and each form of block."""

COMPOSED = ("hf_bert", "g4_prenorm", "hf_albert", "g4_mobilebert_layer_norm", "g4_talkheads")
"""One for each form of block: their exports have a shallower encoder, a feature and composed signatures besides."""

TERMS = ("g4_mobilebert_layer_norm", "hf_bert")
"""MobileBERT's sums are fused otherwise when one of their terms is an output, so bits move; BERT's are not."""

PUBLISHED = ("labse", "muril", "expert", "lealla")
"""Modules after the recipes of Google's own: builders.sentence_encoders wrote them. LEALLA's has no dropout rates."""

LAYER_SAMPLES = ("g2_small", "g4_electra", "g4_albert", "g4_mobilebert", "g4_talkheads")
"""Modules that the tests convert from inside a layer."""

ESTIMATORS = ("tf1_estimator", "estimator_square", "estimator_scoped", "estimator_albert")
"""Classifiers as Estimators export them: one that lies packed, and those that tests/whole/convert/test_estimators.py
builds."""

SUPPORT = {
    ("BERT", "TF2 SavedModel"): (
        "g2_small",
        "g3_small",
        "g4_bert_mlm",
        "g4_bert_v2",
        "g4_prenorm",
        "muril",
        "expert",
    ),
    ("BERT", "re-saved around a `hub.KerasLayer`"): ("g2_small",),
    ("BERT", "TF1 `hub.Module`"): ("tf1_bert_small",),
    ("BERT", "inside a TF1 SavedModel"): ("tf1_estimator", "estimator_square", "estimator_scoped"),
    ("BERT", "TF1 checkpoint"): ("tf1_bert_checkpoint",),
    ("BERT", "Hugging Face checkpoint"): ("hf_bert", "hf_bert_gelu_new"),
    ("BERT, normalised (LaBSE, LEALLA)", "TF2 SavedModel"): ("labse",),
    ("BERT, normalised (LaBSE, LEALLA)", "inside a TF1 SavedModel"): ("lealla",),
    ("ELECTRA", "TF2 SavedModel"): ("g4_electra",),
    ("ELECTRA", "re-saved around a `hub.KerasLayer`"): ("g4_electra",),
    ("ELECTRA", "Hugging Face checkpoint"): ("hf_electra",),
    ("ALBERT", "TF2 SavedModel"): ("g4_albert", "g4_albert_dropout"),
    ("ALBERT", "re-saved around a `hub.KerasLayer`"): ("g4_albert",),
    ("ALBERT", "TF1 `hub.Module`"): ("tf1_albert_small",),
    ("ALBERT", "inside a TF1 SavedModel"): ("estimator_albert",),
    ("ALBERT", "TF1 checkpoint"): ("tf1_albert_checkpoint",),
    ("ALBERT", "Hugging Face checkpoint"): ("hf_albert",),
    ("DistilBERT", "Hugging Face checkpoint"): ("hf_distilbert",),
    ("RoBERTa, XLM-R", "Hugging Face checkpoint"): ("hf_roberta", "hf_xlm_roberta"),
    ("MobileBERT", "TF2 SavedModel"): ("g4_mobilebert", "g4_mobilebert_layer_norm"),
    ("MobileBERT", "re-saved around a `hub.KerasLayer`"): ("g4_mobilebert",),
    ("MobileBERT", "Hugging Face checkpoint"): ("g4_mobilebert",),
    ("BERT with talking heads", "TF2 SavedModel"): ("g4_talkheads",),
    ("BERT with talking heads", "re-saved around a `hub.KerasLayer`"): ("g4_talkheads",),
    ("BERT", "TensorFlow SavedModel of transformers"): ("hf_tf_bert",),
    ("ELECTRA", "TensorFlow SavedModel of transformers"): ("hf_tf_electra",),
    ("ALBERT", "TensorFlow SavedModel of transformers"): ("hf_tf_albert",),
    ("DistilBERT", "TensorFlow SavedModel of transformers"): ("hf_tf_distilbert",),
    ("RoBERTa, XLM-R", "TensorFlow SavedModel of transformers"): ("hf_tf_roberta",),
    ("BERT", "to Hugging Face"): ("g4_bert_mlm", "g2_small", "tf1_bert_small"),
    ("BERT, normalised (LaBSE, LEALLA)", "to Hugging Face"): ("labse",),
    ("ELECTRA", "to Hugging Face"): ("g4_electra",),
    ("ALBERT", "to Hugging Face"): ("g4_albert",),
    ("MobileBERT", "to Hugging Face"): ("g4_mobilebert",),
    ("DistilBERT", "to Hugging Face"): ("hf_distilbert",),
    ("RoBERTa, XLM-R", "to Hugging Face"): ("hf_roberta", "hf_xlm_roberta"),
}
"""What converts, by family and source, and the samples whose conversion proves it: the table in docs/modules.md."""

REFUSED = {("BERT with talking heads", "to Hugging Face"): ("g4_talkheads",)}
"""What `surgery checkpoint` refuses, and the samples that prove it."""
