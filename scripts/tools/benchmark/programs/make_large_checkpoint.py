"""make_large_checkpoint.py FOLDER SIZE: write a Hugging Face checkpoint of BERT-large's sizes with random weights.

Memory holds one tensor at a time. SIZE "small" makes a small one, to try the benchmark.
"""

import json
import pathlib
import sys
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from surgery.checkpoints.safetensors_file import write_safetensors

LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
SHARED = {
    "architectures": ["BertModel"],
    "model_type": "bert",
    "vocab_size": 30522,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "layer_norm_eps": 1e-12,
}


def shapes_of(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor by its name."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (config["vocab_size"], hidden),
        "embeddings.position_embeddings.weight": (config["max_position_embeddings"], hidden),
        "embeddings.token_type_embeddings.weight": (config["type_vocab_size"], hidden),
        **norm("embeddings.LayerNorm", hidden),
    }
    for block in range(config["num_hidden_layers"]):
        scope = f"encoder.layer.{block}."
        for name in ("self.query", "self.key", "self.value", "output.dense"):
            shapes |= dense(f"{scope}attention.{name}", hidden, hidden)
        shapes |= norm(f"{scope}attention.output.LayerNorm", hidden)
        shapes |= dense(f"{scope}intermediate.dense", inner, hidden)
        shapes |= dense(f"{scope}output.dense", hidden, inner)
        shapes |= norm(f"{scope}output.LayerNorm", hidden)
    return shapes | dense("pooler.dense", hidden, hidden)


def dense(name: str, out: int, into: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a dense layer."""
    return {f"{name}.weight": (out, into), f"{name}.bias": (out,)}


def norm(name: str, size: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a norm."""
    return {f"{name}.weight": (size,), f"{name}.bias": (size,)}


def main(folder: pathlib.Path, size: str) -> None:
    """Write the checkpoint. The folder has its name when all of it is there."""
    config = {**SHARED, **(SMALL if size == "small" else LARGE)}
    shapes = shapes_of(config)
    staged = folder.with_name(f"{folder.name}.partial")
    staged.mkdir(parents=True, exist_ok=True)

    def value(name: str) -> np.ndarray:
        random = np.random.default_rng(zlib.crc32(name.encode()))
        return 0.04 * random.standard_normal(shapes[name], np.float32)

    write_safetensors(staged / "model.safetensors", shapes, value)
    (staged / "config.json").write_text(json.dumps(config), encoding="utf-8")
    staged.rename(folder)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2])
