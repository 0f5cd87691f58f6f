"""Loads Hugging Face folders in transformers, in the environment `torch`, and writes what they compute.

    run_transformers.py REQUEST.npz FOLDER ANSWER.npz [REQUEST.npz FOLDER ANSWER.npz …]

REQUEST.npz has `input_ids` (each is taken modulo the model's vocabulary), `attention_mask` and `token_type_ids`, int32
[batch, seq], and `texts`, JSON of a list of texts. An answer has every hidden state, attention, pooled output and
logits in float64 and, as float32.NAME, in float32; the tokenizer's ids as JSON; the keys that transformers missed in
the folder or did not expect; and of a classifier what its config says of the labels.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers


def answer(folder: Path, request: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What transformers says of a folder."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (name,) = config["architectures"]
    found: dict[str, np.ndarray] = {}
    loading = {}
    for loader in dict.fromkeys((transformers.AutoModel, getattr(transformers, name))):
        model, info = loader.from_pretrained(folder, attn_implementation="eager", output_loading_info=True)
        loading[type(model).__name__] = {
            key: sorted(map(str, info[key])) for key in ("missing_keys", "unexpected_keys")
        }
        asked = {name: request[name] for name in ("attention_mask", "token_type_ids")}
        asked["input_ids"] = request["input_ids"] % model.config.vocab_size
        types = getattr(model.config, "type_vocab_size", None)
        if types is None:
            del asked["token_type_ids"]  # a model without token types
        else:
            asked["token_type_ids"] = asked["token_type_ids"] % types
        found |= outputs(model.eval(), asked, "float32.") | outputs(model.double(), asked, "")
        if hasattr(model, "classifier"):
            labelled = {"id2label": model.config.id2label, "problem_type": model.config.problem_type}
            head = model if hasattr(model, "dropout") else model.classifier  # a head of several layers has its own
            found["labels"] = as_json({**labelled, "dropout": head.dropout.p})
    found["loading"] = as_json(loading)
    if (folder / "tokenizer_config.json").is_file():
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        texts = json.loads(str(request["texts"]))
        length = config["max_position_embeddings"]
        ids = [tokenizer(text, truncation=True, max_length=length)["input_ids"] for text in texts]
        found["ids"] = as_json(ids)
    return found


def outputs(model: Any, request: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The outputs of a model by name."""
    inputs = {name: torch.tensor(value) for name, value in request.items()}
    with torch.no_grad():
        returned = model(**inputs, output_hidden_states=True, output_attentions=True)
    found = {f"hidden_states_{number}": value for number, value in enumerate(returned.hidden_states)}
    found |= {f"attentions_{number}": value for number, value in enumerate(returned.attentions)}
    for name in ("pooler_output", "logits"):
        if getattr(returned, name, None) is not None:
            found[name] = getattr(returned, name)
    return {prefix + name: value.numpy() for name, value in found.items()}


def as_json(value: Any) -> np.ndarray:
    """A value as the text of an array without axes."""
    return np.asarray(json.dumps(value))


if __name__ == "__main__":
    given = sys.argv[1:]
    for asked, place, file in zip(given[::3], given[1::3], given[2::3], strict=True):
        arrays: dict[str, Any] = answer(Path(place), dict(np.load(asked)))
        np.savez_compressed(file, **arrays)
