"""The battery: ten deterministic batches on which two functions are compared in double precision.

In double precision a batch that differs at all differs visibly, so every shape occurs once; every kind of mask, token
type and word id occurs several times, and the longest sequence once. Some masks lack position 0, some have holes, and
some rows are nothing but padding. For an encoder that counts positions from an id of padding, that id stands inside
sentences and before them, both where the mask shows it and where it does not. Batches of one length are run together in
double precision (surgery.proof.joining), and each by itself in float32. A module whose graph takes only so many rows or
tokens gets batches of that shape.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from surgery.explanation.architecture import Architecture

MASKED_POSITIONS = 3
LONGEST = 0
"""Stands for the encoder's number of positions."""


class Kind(NamedTuple):
    """What a batch is made of.

    Attributes:
        rows: Number of rows.
        length: Tokens in each row.
        ids: Word ids: "random", "repeated", or "edges", the first and the last of the vocabulary.
        mask: "ones", "ragged" (prefixes of random length), "gaps" (holes anywhere), or "late" (position 0 is masked).
        types: Token types: "zero", "alternating" or "last".
        padding_row: True if the last row is nothing but padding.
        float32: True if it is run in float32, too.
        training: True if the training traces are run on it.
    """

    rows: int
    length: int
    ids: str
    mask: str
    types: str
    padding_row: bool = False
    float32: bool = False
    training: bool = False


KINDS = (
    Kind(1, 1, "random", "ones", "last", float32=True),
    Kind(3, 1, "edges", "ones", "alternating", float32=True),
    Kind(8, 1, "repeated", "ones", "zero", float32=True),
    Kind(1, 2, "edges", "ones", "alternating", float32=True),
    Kind(3, 2, "random", "late", "zero", float32=True),
    Kind(8, 2, "repeated", "ragged", "last", padding_row=True, float32=True),
    Kind(1, 17, "random", "late", "alternating", float32=True),
    Kind(3, 17, "edges", "gaps", "last", float32=True, training=True),
    Kind(8, 17, "random", "ragged", "alternating", padding_row=True, float32=True),
    Kind(1, LONGEST, "random", "ones", "alternating"),
)
OF_FIXED_LENGTH = (
    Kind(1, LONGEST, "random", "ones", "last", float32=True),
    Kind(2, LONGEST, "repeated", "ragged", "zero", float32=True),
    Kind(1, LONGEST, "edges", "late", "alternating", float32=True),
    Kind(3, LONGEST, "random", "gaps", "last", float32=True, training=True),
    Kind(2, LONGEST, "random", "ragged", "alternating", padding_row=True, float32=True),
)
"""The same for a module that takes one length: every kind of mask, token type and word id, in few rows."""
FIRST_LOOK = 2
"""The number of batches on which the filled encoder is compared first."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One batch of the battery.

    Attributes:
        label: Number, shape and kinds of values, for people.
        inputs: Inputs by name, int32 [batch, seq]; `masked_lm_positions` is int32 [batch, positions].
        double: True if inference is run on it in double precision.
        taps: True if taps are run on it, too. Those of the longest sequence would take much memory.
        float32: True if inference is run on it in float32.
        training: True if the training traces are run on it, in double precision.
        joined: True if it may be run together with others of its length; False if the module takes so many rows only.
    """

    label: str
    inputs: Mapping[str, np.ndarray]
    double: bool = True
    taps: bool = True
    float32: bool = True
    training: bool = True
    joined: bool = True

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
    return tuple(_batch(architecture, number, kind) for number, kind in enumerate(KINDS))


def make_fixed_battery(architecture: Architecture, rows: int | None, length: int | None) -> tuple[Batch, ...]:
    """The battery for a module that takes so many rows, or so many tokens in each, and no others; None for any."""
    kinds = [
        kind._replace(
            rows=rows or kind.rows,
            length=length or kind.length,
            padding_row=kind.padding_row and (rows or kind.rows) > 1,  # a batch of nothing else would prove nothing
        )
        for kind in (OF_FIXED_LENGTH if length is not None else KINDS)
    ]
    batches = (_batch(architecture, number, kind) for number, kind in enumerate(kinds))
    return tuple(replace(batch, joined=rows is None) for batch in batches)


def first_look(battery: Sequence[Batch]) -> tuple[dict[int, Batch], dict[int, Batch]]:
    """The battery in two parts, by the batches' numbers: what is compared first, and the rest.

    First come the smallest of the longest batches that have taps, in double precision only: attention acts in long
    ones, and small ones are fast. In float32 and in training they belong to the rest.
    """
    tapped = [number for number, batch in enumerate(battery) if batch.taps]
    chosen = sorted(tapped, key=lambda n: (-battery[n].length, len(battery[n].inputs["input_mask"])))[:FIRST_LOOK]
    first = {number: replace(battery[number], float32=False, training=False) for number in chosen}
    rest = {n: replace(batch, double=n not in first) for n, batch in enumerate(battery)}
    return first, {n: batch for n, batch in rest.items() if batch.double or batch.float32 or batch.training}


def _batch(architecture: Architecture, number: int, kind: Kind) -> Batch:
    positions = architecture.longest
    shape = (kind.rows, min(kind.length or positions, positions))
    random = np.random.default_rng(number)
    mask = _mask(kind.mask, shape, random)
    if kind.padding_row:
        mask[-1] = 0
    ids = _word_ids(kind.ids, shape, architecture["vocab_size"], random)
    if "pad_token_id" in architecture.values:
        ids = _with_padding(ids, architecture["pad_token_id"], whole=kind.length == LONGEST)
    inputs = {"input_word_ids": ids, "input_mask": mask}
    if "type_vocab_size" in architecture.values:
        inputs["input_type_ids"] = _token_types(kind.types, shape, architecture["type_vocab_size"])
    inputs["masked_lm_positions"] = _positions(shape)
    row = ", a row of padding" if kind.padding_row else ""
    label = f"#{number} [{shape[0]}, {shape[1]}] {kind.ids} ids, {kind.mask} mask, {kind.types} types{row}"
    return Batch(
        label=label,
        inputs=inputs,
        taps=kind.length != LONGEST,
        float32=kind.float32,
        training=kind.training,
    )


def _mask(kind: str, shape: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    """A mask, int32 [batch, seq]. Every row has a token, as far as its length allows for what its kind masks."""
    rows, length = shape
    if kind == "ragged":
        mask = np.arange(length)[None, :] < random.integers(1, length + 1, rows)[:, None]
    elif kind in ("gaps", "late"):
        mask = random.random(shape) < 0.6
    else:
        mask = np.ones(shape, bool)
    if kind == "late" and length > 1:
        mask[:, 0], mask[:, -1] = False, True
    else:
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


def _with_padding(ids: np.ndarray, padding: int, *, whole: bool) -> np.ndarray:
    """The ids with padding before the tokens of every other row, and in each fifth place of all rows.

    A row is never nothing but padding: its last token is none. With `whole`, no token is, so that a row that is as long
    as the encoder allows has a token in its last position.
    """
    length = ids.shape[1]
    ids = np.where(ids == padding, 0 if padding else 1, ids)
    places = np.broadcast_to(np.arange(length) % 5 == 3, ids.shape).copy()
    places[::2, : length // 4 + 1] = True
    places[:, -1] = False
    return (ids if whole else np.where(places, padding, ids)).astype(np.int32)


def _positions(shape: tuple[int, int]) -> np.ndarray:
    """First, last and middle position of each row, int32 [batch, 3]."""
    rows, length = shape
    return np.broadcast_to(np.array([0, length - 1, length // 2], np.int32), (rows, MASKED_POSITIONS)).copy()
