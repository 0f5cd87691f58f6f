"""The batches on which two functions are compared: deterministic, and about forty, because one batch proves little.

Every shape comes with at least two masks; every kind of mask, token type and word id comes up several times.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count

import numpy as np

from surgery.explanation.architecture import Architecture

BATCH_SIZES = (1, 3, 8)
LENGTHS = (1, 2, 17)
MASKS = ("ones", "ragged", "gaps")
TOKEN_TYPES = ("zero", "alternating", "last")
WORD_IDS = ("random", "edges", "repeated", "random")
VARIANTS = 4
MASKED_POSITIONS = 3


@dataclass(frozen=True)
class Batch:
    """Inputs by name, int32 [batch, seq]; `label` tells what is in it. `submodels` is true where sub-models run too."""

    label: str
    inputs: Mapping[str, np.ndarray]
    submodels: bool = False

    @property
    def length(self) -> int:
        """Tokens in each row."""
        return int(self.inputs["input_mask"].shape[1])

    @property
    def padding_rows(self) -> np.ndarray:
        """True [batch] for rows that are nothing but padding: attention adders differ there by design."""
        has_tokens: np.ndarray = np.any(self.inputs["input_mask"] != 0, axis=1)
        return ~has_tokens


def make_battery(architecture: Architecture) -> tuple[Batch, ...]:
    """The battery for an encoder with this vocabulary, these positions and token types."""
    positions = architecture["max_position_embeddings"]
    shapes = [(rows, min(length, positions)) for length in LENGTHS for rows in BATCH_SIZES]
    numbers = count()
    batches = [
        _batch(architecture, shape, next(numbers), submodels=variant == 0)
        for variant in range(VARIANTS)
        for shape in dict.fromkeys(shapes)
    ]
    batches += [_batch(architecture, (1, positions), next(numbers)) for _ in range(2)]
    batches += [
        _batch(architecture, (3, min(length, positions)), next(numbers), padding_row=True) for length in (2, 17)
    ]
    return tuple(batches)


def _batch(
    architecture: Architecture,
    shape: tuple[int, int],
    number: int,
    *,
    submodels: bool = False,
    padding_row: bool = False,
) -> Batch:
    # The strides are coprime to one another, so that every pairing of kinds comes up.
    mask_kind = MASKS[(number + number // 9) % len(MASKS)]
    type_kind = TOKEN_TYPES[(number + number // 3) % len(TOKEN_TYPES)]
    id_kind = WORD_IDS[(number // 2) % len(WORD_IDS)]
    random = np.random.default_rng(number)
    mask = _mask(mask_kind, shape, random)
    if padding_row:
        mask[-1] = 0
    inputs = {
        "input_word_ids": _word_ids(id_kind, shape, architecture["vocab_size"], random),
        "input_mask": mask,
        "input_type_ids": _token_types(type_kind, shape, architecture["type_vocab_size"]),
        "masked_lm_positions": _positions(shape),
    }
    row = ", a row of padding" if padding_row else ""
    label = f"#{number} [{shape[0]}, {shape[1]}] {id_kind} ids, {mask_kind} mask, {type_kind} types{row}"
    return Batch(label, inputs, submodels)


def _mask(kind: str, shape: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    """Ones; prefixes of random length; or holes anywhere. The first token is always there."""
    rows, length = shape
    if kind == "ragged":
        mask = np.arange(length)[None, :] < random.integers(1, length + 1, rows)[:, None]
    elif kind == "gaps":
        mask = random.random(shape) < 0.6
    else:
        mask = np.ones(shape, bool)
    mask[:, 0] = True
    return mask.astype(np.int32)


def _token_types(kind: str, shape: tuple[int, int], types: int) -> np.ndarray:
    if kind == "alternating":
        return np.broadcast_to(np.arange(shape[1], dtype=np.int32) % types, shape).copy()
    return np.full(shape, 0 if kind == "zero" else types - 1, np.int32)


def _word_ids(kind: str, shape: tuple[int, int], vocab: int, random: np.random.Generator) -> np.ndarray:
    if kind == "edges":
        return (np.arange(shape[0] * shape[1], dtype=np.int32).reshape(shape) % 2) * np.int32(vocab - 1)
    if kind == "repeated":
        return np.full(shape, random.integers(vocab), np.int32)
    return random.integers(0, vocab, shape, dtype=np.int32)


def _positions(shape: tuple[int, int]) -> np.ndarray:
    """First, last and middle position, int32 [batch, 3]."""
    rows, length = shape
    return np.broadcast_to(np.array([0, length - 1, length // 2], np.int32), (rows, MASKED_POSITIONS)).copy()
