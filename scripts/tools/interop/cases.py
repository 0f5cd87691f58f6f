"""The folders that are checked: samples of tests/modules, with the options of `surgery checkpoint` that each needs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import surgery
from surgery.jobs.checkpoint import Checkpoint
from surgery.jobs.texts import TRIED

ROOT = Path(__file__).parents[3]
RECORDED = ROOT / "tests" / "checkpoints" / "transformers"
"""What the libraries answered when `scripts/check-interop --record` was run. The tests read these files."""
ROWS, LENGTH = 2, 7
SHOWN_LOGITS = 2
"""Positions of which logits are compared: those of all would be most of a recording."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A folder that surgery writes.

    Attributes:
        name: The case's name, and that of its recording.
        module: The sample.
        options: Arguments of `surgery.checkpoint`.
    """

    name: str
    module: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        """The recording."""
        return RECORDED / f"{self.name}.npz"

    def write(self, destination: Path) -> Checkpoint:
        """Writes the folder."""
        return surgery.checkpoint(ROOT / "tests" / "modules" / f"{self.module}.tar.gz", destination, **self.options)


CASES = (
    Case(name="bert_masked_lm", module="g4_bert_mlm"),
    Case(name="bert_cased", module="g2_small", options={"lower_case": False}),
    Case(name="bert_tf1", module="tf1_bert_small"),
    Case(name="electra", module="g4_electra", options={"drop_pooler": True}),
    Case(name="albert", module="g4_albert"),
    Case(name="mobilebert", module="g4_mobilebert"),
)
SENTENCES = Case(name="sentences", module="g2_small", options={"pooling": "mean"})


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
