"""Modules and checkpoints that the builders make, by name. Those that lie packed are in sample_names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

from tests.support.builders import checkpoints, early_bert, hugging_face, model_garden
from tests.support.sample_names import BUILT

two_blocks = partial(model_garden.build_module, num_layers=2)
"""For modules that differ from others in something else than their blocks: the packed samples have more of them."""

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
        "g1_exact": partial(
            early_bert.build_module, activation="exact", epsilon=1e-6, hidden=48, heads=6, vocab=200, num_layers=2
        ),
        "exact_gelu_epsilon_1e-3": partial(two_blocks, activation="gelu_exact", epsilon=1e-3),
        "relu_epsilon_1e-5": partial(two_blocks, activation="relu", epsilon=1e-5),
        "narrow_embedding_mlm": partial(two_blocks, embedding_width=20, mlm=True),
        "no_encoder_outputs": partial(two_blocks, encoder_outputs=False, lower_case=False),
        "no_vocab": partial(two_blocks, with_vocab=False, output_dropout=0.0),
        "one_type": partial(two_blocks, types=1, attention_dropout=0.0),
        "unusual_sizes": partial(
            model_garden.build_module, hidden=60, heads=5, inner=77, positions=11, vocab=101, types=3, num_layers=4
        ),
        "list_call": partial(two_blocks, call="list"),
        "one_block": partial(model_garden.build_module, hidden=16, inner=32, num_layers=1),
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
assert (*BUILDERS,) == BUILT, "a builder needs its name in sample_names, from which the groups of tests are made"
