"""The files by which sentence-transformers loads a checkpoint, and pools the output of its last block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MODULES = "modules.json"
POOLING = "1_Pooling/config.json"
SENTENCES = "sentence_bert_config.json"
MODES = {
    "cls": "cls_token",
    "mean": "mean_tokens",
    "max": "max_tokens",
    "mean_sqrt_len": "mean_sqrt_len_tokens",
}
"""The poolings of features that sentence-transformers has, and the names that it gives to them."""


def sentence_files(pooling: str, width: int, length: int) -> Mapping[str, Any]:
    """The JSON files by name, for a pooling of vectors of this width and texts of at most `length` tokens."""
    package = "sentence_transformers.models"
    return {
        MODULES: [
            {"idx": 0, "name": "0", "path": "", "type": f"{package}.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{package}.Pooling"},
        ],
        POOLING: {
            "word_embedding_dimension": width,
            **{f"pooling_mode_{name}": mode == pooling for mode, name in MODES.items()},
        },
        SENTENCES: {"max_seq_length": length, "do_lower_case": False},
    }
