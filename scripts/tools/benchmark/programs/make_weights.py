"""make_weights.py MODULE FILE: write a module's weights under transformers' names for a BertModel, as .npz."""

import sys
from pathlib import Path
from typing import Any

import numpy as np

DENSE = {
    "self_attention/query": "attention.self.query",
    "self_attention/key": "attention.self.key",
    "self_attention/value": "attention.self.value",
    "self_attention/attention_output": "attention.output.dense",
    "intermediate": "intermediate.dense",
    "output": "output.dense",
}
NORMS = {"self_attention_layer_norm": "attention.output.LayerNorm", "output_layer_norm": "output.LayerNorm"}
TABLES = {"word_embeddings": "word_embeddings", "position_embedding": "position_embeddings"}


def renamed(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the weights under transformers' names. torch keeps a kernel as [out, in]."""
    hidden = weights["word_embeddings/embeddings:0"].shape[1]
    found = {f"embeddings.{new}.weight": weights[f"{old}/embeddings:0"] for old, new in TABLES.items()}
    found["embeddings.token_type_embeddings.weight"] = weights["type_embeddings/embeddings:0"]

    def norm(old: str, new: str) -> None:
        found[f"{new}.weight"], found[f"{new}.bias"] = weights[f"{old}/gamma:0"], weights[f"{old}/beta:0"]

    def dense(old: str, new: str) -> None:
        kernel, bias = weights[f"{old}/kernel:0"], weights[f"{old}/bias:0"].reshape(-1)
        rows = kernel.size // len(bias)
        found[f"{new}.weight"], found[f"{new}.bias"] = kernel.reshape(rows, len(bias)).T, bias

    norm("embeddings/layer_norm", "embeddings.LayerNorm")
    blocks = sum(name.endswith("self_attention/query/kernel:0") for name in weights)
    for block in range(blocks):
        for old, new in DENSE.items():
            dense(f"transformer/layer_{block}/{old}", f"encoder.layer.{block}.{new}")
        for old, new in NORMS.items():
            norm(f"transformer/layer_{block}/{old}", f"encoder.layer.{block}.{new}")
    dense("pooler_transform", "pooler.dense")
    assert found["pooler.dense.weight"].shape == (hidden, hidden)
    return found


def main(module: str, file: Path) -> None:
    """Write the file."""
    import tensorflow as tf

    loaded: Any = tf.saved_model.load(module)
    np.savez(file, **renamed({variable.name: variable.numpy() for variable in loaded.variables}))  # type: ignore[arg-type]


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
