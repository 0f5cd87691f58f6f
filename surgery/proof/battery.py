"""The battery: about forty deterministic batches on which two functions are compared. One batch would prove little.

Every shape occurs with at least two masks. Every kind of mask, token type and word id occurs several times.
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


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One batch of the battery.

    Attributes:
        label: Number, shape and kinds of values, for people.
        inputs: Inputs by name, int32 [batch, seq]; `masked_lm_positions` is int32 [batch, positions].
        submodels: True if the sub-models are run on this batch, too.
    """

    label: str
    inputs: Mapping[str, np.ndarray]
    submodels: bool = False

    @property
    def length(self) -> int:
        """Tokens in each row."""
        return int(self.inputs["input_mask"].shape[1])

    @property
    def padding_rows(self) -> np.ndarray:
        """Bool [batch], true for rows of nothing but padding, in which attention adders make a difference by design."""
        has_tokens: np.ndarray = np.any(self.inputs["input_mask"] != 0, axis=1)
        return ~has_tokens


def make_battery(architecture: Architecture) -> tuple[Batch, ...]:
    """The battery for an encoder with the vocabulary, positions and token types of this architecture."""
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
    # The strides are coprime to one another, so that every pairing of kinds occurs.
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
    return Batch(label=label, inputs=inputs, submodels=submodels)


def _mask(kind: str, shape: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    """A mask, int32 [batch, seq]: all ones, prefixes of random length, or holes anywhere. The first token stays."""
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
    """First, last and middle position of each row, int32 [batch, 3]."""
    rows, length = shape
    return np.broadcast_to(np.array([0, length - 1, length // 2], np.int32), (rows, MASKED_POSITIONS)).copy()
