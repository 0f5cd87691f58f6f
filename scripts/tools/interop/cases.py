"""The folders that are checked: samples of tests/modules, with the options of `surgery checkpoint` that each needs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

import surgery
from surgery.jobs.checkpoint import Checkpoint
from surgery.jobs.texts import TRIED

ROOT = Path(__file__).parents[3]
RECORDED = ROOT / "tests" / "checkpoints" / "transformers"
"""What the libraries answered when `scripts/check-interop --record` was run. The tests read these files."""
ROWS, LENGTH = 2, 7
SHOWN_LOGITS = 2
"""Positions of which logits are compared: those of all would be most of a recording."""
PADDED = ([0, 0, 0, 1, 1], [0, 1, 4, 3, LENGTH - 1])
"""Rows and positions of padding, on some of which the mask shows a token."""
RATES = ("embedding_dropout", "attention_probs_dropout", "attention_output_dropout", "output_dropout")
"""The rates of dropout, which a graph for serving does not show."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A folder that surgery writes.

    Attributes:
        name: The case's name, and that of its recording.
        module: The sample.
        options: Arguments of `surgery.checkpoint`.
        classifier: The class that the sample's checkpoint gets before it is written again, with a head of random
            numbers on the encoder; "" for the sample as it is.
        padding: The id from which the model counts positions; None for a model whose positions do not depend on ids.
    """

    name: str
    module: str
    options: Mapping[str, Any] = field(default_factory=dict)
    classifier: str = ""
    padding: int | None = None

    @property
    def request(self) -> dict[str, np.ndarray]:
        """The inputs: those of `request`, with padding on the left, inside and at the end where it matters."""
        asked = request()
        if self.padding is not None:
            asked["input_ids"][PADDED] = self.padding
        return asked

    @property
    def file(self) -> Path:
        """The recording."""
        return RECORDED / f"{self.name}.npz"

    def write(self, destination: Path) -> Checkpoint:
        """Writes the folder."""
        packed = ROOT / "tests" / "modules" / f"{self.module}.tar.gz"
        if not self.classifier:
            return surgery.checkpoint(packed, destination, **self.options)
        encoder = surgery.checkpoint(packed, destination.with_name(f"{destination.name}_encoder"), **self.options)
        add_classifier(encoder.destination, self.classifier)
        return surgery.checkpoint(encoder.destination, destination, tokenizer=self.options.get("tokenizer", True))


HIDDEN_LAYERS = {
    "ElectraForSequenceClassification": ("classifier.dense", "classifier.out_proj"),
    "RobertaForSequenceClassification": ("classifier.dense", "classifier.out_proj"),
    "DistilBertForSequenceClassification": ("pre_classifier", "classifier"),
}
"""The layers of the heads that have two, by class."""


def add_classifier(folder: Path, class_name: str, labels: int = 3) -> Path:
    """Makes the checkpoint of an encoder one of a classifier, as transformers would name its tensors."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    random, hidden = np.random.default_rng(9), config.get("hidden_size") or config["dim"]
    scope, written = f"{config['model_type']}.", load_file(folder / "model.safetensors")
    scoped = {name: value for name, value in written.items() if name.startswith(scope)}  # none of the bare encoder
    tensors = scoped or {scope + name: value for name, value in written.items()}
    *before, last = HIDDEN_LAYERS.get(class_name, ("classifier",))
    for name, size in (*((name, hidden) for name in before), (last, labels)):
        kernel = random.normal(size=(size, hidden)) * hidden**-0.5  # logits as large as those of trained heads
        tensors[f"{name}.weight"] = kernel.astype(np.float32)
        tensors[f"{name}.bias"] = random.normal(size=size).astype(np.float32)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    names = {str(number): f"kind {number}" for number in range(labels)}
    config |= {"architectures": [class_name], "id2label": names, "problem_type": "multi_label_classification"}
    config |= {"label2id": {name: int(number) for number, name in names.items()}}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


CASES = (
    Case(name="bert_masked_lm", module="g4_bert_mlm"),
    Case(name="bert_cased", module="g2_small", options={"lower_case": False}),
    Case(name="bert_tf1", module="tf1_bert_small"),
    Case(name="electra", module="g4_electra", options={"drop_pooler": True}),
    Case(name="albert", module="g4_albert"),
    Case(name="mobilebert", module="g4_mobilebert"),
    Case(name="distilbert", module="hf_distilbert"),
    Case(name="roberta", module="hf_roberta", padding=1),
    Case(name="xlm_roberta", module="hf_xlm_roberta", padding=1),
    Case(
        name="bert_classifier",
        module="tf1_estimator",
        options={"assume": dict.fromkeys(RATES, 0.1), "tokenizer": False, "labels": ("negative", "positive")},
    ),
    Case(
        name="albert_classifier",
        module="hf_albert",
        options={"tokenizer": False},
        classifier="AlbertForSequenceClassification",
    ),
    Case(name="mobilebert_classifier", module="g4_mobilebert", classifier="MobileBertForSequenceClassification"),
    Case(
        name="electra_classifier",
        module="g4_electra",
        options={"drop_pooler": True},
        classifier="ElectraForSequenceClassification",
    ),
    Case(name="distilbert_classifier", module="hf_distilbert", classifier="DistilBertForSequenceClassification"),
    Case(name="roberta_classifier", module="hf_roberta", classifier="RobertaForSequenceClassification", padding=1),
)
SENTENCES = (
    Case(name="sentences", module="g2_small", options={"pooling": "mean"}),
    Case(name="sentences_pooler", module="labse"),
)
"""The folders that sentence-transformers loads: one by the mean, one by a pooler and a normalisation behind it."""


def request() -> dict[str, np.ndarray]:
    """The inputs of every case, with padding and both token types, and the texts that its tokenizer splits."""
    random = np.random.default_rng(7)
    mask = np.ones((ROWS, LENGTH), np.int32)
    mask[1, LENGTH - 2 :] = 0
    return {
        "input_ids": random.integers(0, 1200, (ROWS, LENGTH)).astype(np.int32),
        "attention_mask": mask,
        "token_type_ids": random.integers(0, 2, (ROWS, LENGTH)).astype(np.int32),
        "texts": np.asarray(json.dumps(TRIED)),
    }
