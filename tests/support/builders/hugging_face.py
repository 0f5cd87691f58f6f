"""Hugging Face checkpoints made of the packed samples: other names, more tensors or fewer, another config."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from .common import PACKED, change_config, random_value, unpack

Tensors = dict[str, np.ndarray]
Change = Callable[[Tensors], Tensors]
WEIGHTS = "model.safetensors"


def build(
    folder: Path, *changes: Change, sample: str = "hf_bert", without: tuple[str, ...] = (), **config: Any
) -> Path:
    """The sample's checkpoint with its tensors changed, one change after the other, and its config."""
    unpack(PACKED / f"{sample}.tar.gz", folder)
    (folder / "expected.npz").unlink()
    tensors = load_file(folder / WEIGHTS)
    for change in changes:
        tensors = change(tensors)
    save_file(tensors, folder / WEIGHTS, {"format": "pt"})
    change_config(folder / "config.json", *without, **config)
    return folder


def build_pretraining(folder: Path, **config: Any) -> Path:
    """BertForPreTraining as early releases of transformers wrote it: scope, heads, buffers, gamma and beta."""
    architectures = ["BertForPreTraining"]
    return build(folder, scoped("bert"), with_pretraining_heads, early_names, architectures=architectures, **config)


def scoped(model: str) -> Change:
    """The names that a model with a head has, and its buffer of positions."""

    def change(tensors: Tensors) -> Tensors:
        buffer = {f"{model}.embeddings.position_ids": np.arange(64, dtype=np.int64)[None]}
        return {f"{model}.{name}": value for name, value in tensors.items()} | buffer

    return change


def with_pretraining_heads(tensors: Tensors) -> Tensors:
    """A masked-LM head, whose decoder is tied to the word embeddings and to its bias, and a next-sentence head."""
    words = tensors["bert.embeddings.word_embeddings.weight"]
    vocab, hidden = words.shape
    bias = random_value("cls.predictions.bias", (vocab,), 0)
    shapes = {
        "cls.predictions.transform.dense.weight": (hidden, hidden),
        "cls.predictions.transform.dense.bias": (hidden,),
        "cls.predictions.transform.LayerNorm.weight": (hidden,),
        "cls.predictions.transform.LayerNorm.bias": (hidden,),
        "cls.seq_relationship.weight": (2, hidden),
        "cls.seq_relationship.bias": (2,),
    }
    tied = {"cls.predictions.bias": bias, "cls.predictions.decoder.bias": bias, "cls.predictions.decoder.weight": words}
    return tensors | tied | {name: random_value(name, shape, 0) for name, shape in shapes.items()}


def build_classifier(folder: Path, sample: str = "hf_bert", **config: Any) -> Path:
    """A classifier of three labels with names, as transformers writes one."""
    model = sample.split("_")[1]
    prefix = {"bert": "Bert", "albert": "Albert", "electra": "Electra"}[model]
    names = {"0": "no", "1": "yes", "2": "ask | again\n`"}
    described = {"architectures": [f"{prefix}ForSequenceClassification"], "id2label": names}
    described |= {"label2id": {name: int(number) for number, name in names.items()}}

    def named(tensors: Tensors) -> Tensors:
        return {f"{model}.{name}": value for name, value in tensors.items()}

    return build(folder, named, with_classifier, sample=sample, **{**described, **config})


def with_classifier(tensors: Tensors) -> Tensors:
    """A dense layer of three labels beside the encoder."""
    hidden = next(len(value) for name, value in tensors.items() if name.endswith(("query.bias", "pooler.bias")))
    shapes = {"classifier.weight": (3, hidden), "classifier.bias": (3,)}
    return tensors | {name: random_value(name, shape, 0) for name, shape in shapes.items()}


def early_names(tensors: Tensors) -> Tensors:
    """Norms with gamma and beta, as before transformers 1.0."""
    leaves = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    return {re.sub(r"LayerNorm\.\w+$", lambda found: leaves[found[0]], name): value for name, value in tensors.items()}


def lacking(pattern: str) -> Change:
    """Leaves out the tensors in whose names a pattern is found; there must be one."""

    def change(tensors: Tensors) -> Tensors:
        kept = {name: value for name, value in tensors.items() if not re.search(pattern, name)}
        assert len(kept) < len(tensors), f"no tensor matches {pattern}"
        return kept

    return change


without_pooler = lacking("pooler")


def with_value(name: str, value: Callable[[np.ndarray], np.ndarray]) -> Change:
    """One tensor with another value."""
    return lambda tensors: tensors | {name: np.ascontiguousarray(value(tensors[name].copy()))}
