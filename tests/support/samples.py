"""Modules and checkpoints that the builders make, by name. Those that lie packed are in sample_names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

from tests.support.builders import checkpoints, early_bert, hugging_face, model_garden

BUILDERS: Mapping[str, Callable[[Path], Path]] = MappingProxyType(
    {
        "g1": partial(
            early_bert.build_module,
            seed=3,
            output_dropout=0.2,
            attention_dropout=0.05,
            embedding_dropout=0.15,
            block_output_dropout=0.2,
        ),
        "g1_exact": partial(early_bert.build_module, activation="exact", epsilon=1e-6, hidden=48, heads=6, vocab=200),
        "exact_gelu": partial(model_garden.build_module, activation="gelu_exact"),
        "relu": partial(model_garden.build_module, activation="relu"),
        "epsilon_1e-5": partial(model_garden.build_module, epsilon=1e-5),
        "epsilon_1e-3": partial(model_garden.build_module, epsilon=1e-3),
        "narrow_embedding_mlm": partial(model_garden.build_module, embedding_width=20, mlm=True),
        "no_encoder_outputs": partial(model_garden.build_module, encoder_outputs=False, lower_case=False),
        "no_vocab": partial(model_garden.build_module, with_vocab=False, output_dropout=0.0),
        "one_type": partial(model_garden.build_module, types=1, attention_dropout=0.0),
        "unusual_sizes": partial(
            model_garden.build_module, hidden=60, heads=5, inner=77, positions=11, vocab=101, types=3, num_layers=4
        ),
        "list_call": partial(model_garden.build_module, call="list"),
        "tf1_bert_training": partial(checkpoints.build_trained, shards=2),
        "tf1_albert_training": partial(
            checkpoints.build_trained, sample="tf1_albert_small", second_norm=True, num_hidden_layers=3
        ),
        "hf_bert_pretraining": hugging_face.build_pretraining,
        "hf_bert_no_pooler": lambda folder: hugging_face.build(folder, hugging_face.without_pooler),
        "hf_bert_epsilon": partial(hugging_face.build, layer_norm_eps=1e-5),
        "hf_albert_dropouts": partial(
            hugging_face.build, sample="hf_albert", hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.2
        ),
    }
)
