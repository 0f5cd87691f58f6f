"""Inputs for a measurement: valid for the encoder, and as different from one another as real ones.

The inputs that people are shown (`example_inputs`) repeat three words. Errors of rounding want many different ones.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from surgery.export.manifest import read_manifest
from surgery.module import SignatureInfo
from surgery.tfserving.example_inputs import WORD_IDS, example_inputs

LONGEST_WORD = 8


def random_inputs(
    signature: SignatureInfo, batch: int, length: int, vocabulary: int | None = None, seed: int = 0
) -> dict[str, np.ndarray]:
    """Inputs by key, the same in every run: random word ids below `vocabulary`, or texts of `length` random words.

    Without `vocabulary`, word ids are those of `example_inputs`. Raises as that function does.
    """
    random = np.random.default_rng(seed)
    found = {}
    for key, (dtype, value) in example_inputs(signature, batch, length, whole=True).items():
        array = np.array(value, object if dtype == "string" else dtype)
        if dtype == "string":
            texts = [_text(random, length).encode() for _ in range(array.size)]
            array = np.array(texts, object).reshape(array.shape)
        elif key.lower().endswith(WORD_IDS) and vocabulary is not None:
            array = np.where(array == 0, 0, random.integers(0, vocabulary, array.shape)).astype(dtype)
        found[key] = array
    return found


def vocabulary_of(export: Path) -> int | None:
    """The number of word ids, as the export's manifest states it; None for a SavedModel without one."""
    try:
        found: Any = read_manifest(export)["architecture"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    size = found.get("vocab_size") if isinstance(found, Mapping) else None
    return size if isinstance(size, int) and size > 0 else None


def _text(random: np.random.Generator, words: int) -> str:
    letters = np.array(list(string.ascii_lowercase))
    return " ".join("".join(random.choice(letters, random.integers(1, LONGEST_WORD + 1))) for _ in range(words))
