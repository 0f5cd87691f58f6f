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


HIDDEN_LAYERS = {
    "Electra": ("classifier.dense", "classifier.out_proj"),
    "Roberta": ("classifier.dense", "classifier.out_proj"),
    "XLMRoberta": ("classifier.dense", "classifier.out_proj"),
    "DistilBert": ("pre_classifier", "classifier"),
}
"""The hidden layer of a class's head and its layer of labels, by the prefix of the class's name."""
PREFIXES = {"xlm-roberta": "XLMRoberta", "distilbert": "DistilBert"}
"""The prefix of a model's classes, where it is not the architecture's name with a capital."""


def build_classifier(folder: Path, sample: str = "hf_bert", *, hidden: bool = False, **config: Any) -> Path:
    """A classifier of three labels with names, as transformers writes one. With a `hidden` layer it has no pooler."""
    model = sample.removeprefix("hf_").replace("_", "-")
    prefix = PREFIXES.get(model, model.capitalize())
    layers = HIDDEN_LAYERS[prefix] if hidden else ("classifier",)
    names = {"0": "no", "1": "yes", "2": "ask | again\n`"}
    described = {"architectures": [f"{prefix}ForSequenceClassification"], "id2label": names}
    described |= {"label2id": {name: int(number) for number, name in names.items()}}

    def named(tensors: Tensors) -> Tensors:
        scope = "roberta." if "roberta" in model else f"{model}."
        masked_lm = any(name.startswith(scope) for name in tensors)
        kept = {scope + name.removeprefix(scope): v for name, v in tensors.items() if scope in name or not masked_lm}
        return {name: value for name, value in kept.items() if not (hidden and ".pooler." in name)}

    def with_head(tensors: Tensors) -> Tensors:
        return with_classifier(tensors, *layers)

    return build(folder, named, with_head, sample=sample, **{**described, **config})


def with_classifier(tensors: Tensors, *layers: str) -> Tensors:
    """Dense layers beside the encoder, of which the last one gives three labels."""
    ends = ("query.bias", "q_lin.bias", "pooler.bias")
    width = next(len(value) for name, value in tensors.items() if name.endswith(ends))
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in layers:
        size = 3 if layer == layers[-1] else width
        shapes |= {f"{layer}.weight": (size, width), f"{layer}.bias": (size,)}
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
