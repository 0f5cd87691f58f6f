"""The weights of all-MiniLM-L6-v2 in the forms of other publishers: google-research's names, and those of 2019."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

Tensors = dict[str, np.ndarray]

WORDS, POSITIONS = 2000, 64
"""Rows of the tables that are kept, so that the modules are small: 46 MB instead of 91."""

EARLY_NAMES = (
    (r"^bert/embeddings/word_embeddings$", "bert_model/word_embeddings/embeddings"),
    (r"^bert/embeddings/token_type_embeddings$", "bert_model/embedding_postprocessor/type_embeddings"),
    (r"^bert/embeddings/position_embeddings$", "bert_model/embedding_postprocessor/position_embeddings"),
    (r"^bert/embeddings/LayerNorm/", "bert_model/embedding_postprocessor/layer_norm/"),
    (r"^bert/pooler/dense/", "bert_model/pooler_transform/"),
    (r"^bert/encoder/", "bert_model/encoder/"),
    (r"/attention/self/", "/self_attention/"),
    (r"/attention/output/dense/", "/self_attention_output/"),
    (r"/attention/output/LayerNorm/", "/self_attention_layer_norm/"),
    (r"/(intermediate|output)/dense/", r"/\1/"),
    (r"/output/LayerNorm/", "/output_layer_norm/"),
)
"""Patterns in google-research's names, and what the first exports for TensorFlow 2 have there."""


def google_weights(folder: Path) -> Tensors:
    """The weights of a Hugging Face folder as google-research's checkpoints hold them, with fewer words and positions.

    Kernels are stored [in, out] there, and the scale and the shift of a norm are `gamma` and `beta`. The last word
    stays the last, because the battery asks for the first and the last.
    """
    found = {}
    for name, value in load_file(folder / "model.safetensors").items():
        if name == "embeddings.position_ids":
            continue
        stem, _, leaf = name.replace("layer.", "layer_").replace(".", "/").rpartition("/")
        if stem.endswith("LayerNorm"):
            stem += {"weight": "/gamma", "bias": "/beta"}[leaf]
        elif not stem.endswith("_embeddings"):
            stem, value = (f"{stem}/kernel", value.T) if leaf == "weight" else (f"{stem}/{leaf}", value)
        found[f"bert/{stem}"] = np.ascontiguousarray(value)
    words, positions = (f"bert/embeddings/{table}_embeddings" for table in ("word", "position"))
    found[words] = np.concatenate([found[words][: WORDS - 1], found[words][-1:]])
    found[positions] = found[positions][:POSITIONS]
    return found


def early_weights(folder: Path) -> Tensors:
    """The same by the names of the first exports for TensorFlow 2, whose attention kernels are flat, too."""

    def renamed(name: str) -> str:
        for pattern, replacement in EARLY_NAMES:
            name = re.sub(pattern, replacement, name)
        return name

    return {renamed(name): value for name, value in google_weights(folder).items()}
