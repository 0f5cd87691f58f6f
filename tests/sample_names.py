"""Archives in tests/modules that convert, by source; importing this needs no TensorFlow."""

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
