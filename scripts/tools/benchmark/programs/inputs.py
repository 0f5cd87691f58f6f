"""Requests of the inference benchmark. This file needs only numpy, because every runtime's environment imports it."""

from typing import NamedTuple

import numpy as np

FULL, HALF = "full", "half filled"


class Case(NamedTuple):
    """The size of a request.

    Attributes:
        rows: Its rows.
        length: The positions of a row.
        fill: FULL, or HALF: rows of different lengths whose tokens are half of all positions.
    """

    rows: int
    length: int
    fill: str

    @property
    def shape(self) -> str:
        """Return the size for people, such as "8 x 128"."""
        return f"{self.rows} x {self.length}"


def lengths_of(case: Case) -> list[int]:
    """Return the tokens of each row. Those of a half filled request are spread evenly: 8, 24, ... 120 of 128."""
    if case.fill == FULL:
        return [case.length] * case.rows
    shorter = [max(1, case.length * (2 * row + 1) // (2 * case.rows)) for row in range(case.rows // 2)]
    middle = [case.length // 2] * (case.rows % 2)
    return shorter + middle + [case.length - tokens for tokens in reversed(shorter)]


def make_inputs(case: Case, vocabulary: int) -> dict[str, np.ndarray]:
    """Make a request: random words, and the second half of every row in its second segment. int32 [rows, length]."""
    places = np.arange(case.length)[None, :]
    mask = (places < np.array(lengths_of(case))[:, None]).astype(np.int32)
    ids = np.random.default_rng(case.rows).integers(1, vocabulary, mask.shape, dtype=np.int32) * mask
    types = np.broadcast_to(places >= case.length // 2, mask.shape).astype(np.int32) * mask
    return {"input_word_ids": ids, "input_mask": mask, "input_type_ids": types}
