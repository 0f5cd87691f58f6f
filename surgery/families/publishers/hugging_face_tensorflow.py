"""Hugging Face's names in TensorFlow: transformers up to 4.57, models/*/modeling_tf_*.py of the families' models.

TensorFlow has left transformers, but its SavedModels stayed (`save_pretrained(folder, saved_model=True)`). They name
the weights after the same modules as the checkpoints do, with a slash where those have a dot, and keep kernels as
[in, out] (modeling_tf_pytorch_utils.py, convert_tf_weight_name_to_pt_weight_name). So the rows of the checkpoints are
respelled.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from surgery.families.publishers.hugging_face import scoped
from surgery.tables.evidence import ConfigEvidence, Demand
from surgery.tables.rules import Dialect, WeightRule

GENERATION = "Hugging Face transformers, in TensorFlow"
OUTPUTS: Mapping[str, tuple[str, ...]] = {
    "last_hidden_state": ("sequence_output",),
    "pooler_output": ("pooled_output",),
    "hidden_states": ("embedding_output", "encoder_outputs"),
    "attentions": ("attention_probs",),
}
"""The encoder's outputs by transformers' names; a config may ask for the last two."""
_TABLE = "{leaf:(?:weight|embeddings)}"
_LEAVES = {"kernel": "kernel", "bias": "bias", "gamma": "gamma", "beta": "beta", "embeddings": _TABLE}
"""A weight's last name by that of its target. Tables are `weight` where transformers reads them itself."""


def in_tensorflow(
    checkpoints: Dialect, model: str, *, model_types: tuple[str, ...] = (), more: tuple[ConfigEvidence, ...] = ()
) -> Dialect:
    """The dialect of a model's SavedModels. Their graphs show what they compute; the config has to agree.

    Args:
        checkpoints: The dialect of its checkpoints.
        model: Scope of the encoder's names, such as "bert".
        model_types: Names of the architecture in configs, where there are others than `model`.
        more: Keys of the config that the code in TensorFlow reads beyond those that the code of the checkpoints does.
    """
    publisher, scope = checkpoints.publisher, scoped(model)
    assert publisher is not None, "checkpoints have a publisher"
    named = Demand(
        key="model_type",
        allowed=model_types or (model,),
        because="other architectures give the same names to weights of another function",
    )
    rows = (rule for rule in checkpoints.rules if rule.pattern.startswith(scope) and rule.target is not None)
    return Dialect(
        generation={"dict": GENERATION},
        rules=tuple(_respelled(rule, scope, model) for rule in rows),
        publisher=replace(
            publisher,
            model_types=(),
            evidence=(*(row for row in publisher.evidence if isinstance(row, ConfigEvidence)), *more),
            demands=(named, *publisher.demands),
        ),
        outputs=OUTPUTS,
    )


def _respelled(rule: WeightRule, scope: str, model: str) -> WeightRule:
    """The row of a checkpoint's tensor as that of the variable: `encoder.layer.0.output.dense.weight` is
    `encoder/layer_._0/output/dense/kernel`."""
    assert rule.target is not None, "rows that drop a variable are left out"
    assert rule.layout is not None, "a row with a target has a layout"
    name = rule.pattern.removeprefix(scope).rpartition(".")[0].replace(".", "/")
    name = re.sub(r"/(\{\w+\}|[0-9]+)", r"_._\1", name)
    leaf = rule.target.rpartition("/")[2]
    layout = rule.layout.transposed() if leaf == "kernel" else rule.layout
    return replace(rule, pattern=f"{model}/{name}/{_LEAVES[leaf]}", layout=layout)
