"""What a request may ask of a model, and the values that a BERT's inputs may have. Requests are checked before a run.

A model computes something for every value: a mask of 2 counts a token twice, a token type beyond the table reads
another row or zeros, without an error. The graph of an export cannot refuse them; whoever runs it can.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from surgery.batching import MASK, TYPE_IDS
from surgery.batching.sharing import Arrays, Shape
from surgery.errors import UsageError

TOKEN_TYPES = (TYPE_IDS, "segment_ids")


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """The most that a run of a model may hold.

    Attributes:
        rows: Rows of a request.
        tokens: Positions of a run: rows x length, padding included. For inputs of other shapes, the product of the
            sizes of their free axes.
        text_bytes: Bytes of all texts of a request, in UTF-8.
    """

    rows: int
    tokens: int
    text_bytes: int


def check_size(request: Arrays, shapes: Mapping[str, Shape], bounds: Bounds) -> None:
    """Raises UsageError for a request of more rows, tokens or bytes of text than `bounds` allows.

    `shapes` are the declared shapes of the inputs, with the batch axis.
    """
    for key, value in request.items():
        if value.ndim and shapes[key] and shapes[key][0] is None and value.shape[0] > bounds.rows:
            raise _too_large(f"input {key}: {value.shape[0]} rows", bounds.rows, "--max-batch")
        if (count := positions(value, shapes[key])) > bounds.tokens:
            raise _too_large(f"input {key}: {list(value.shape)}, {count} tokens", bounds.tokens, "--max-tokens")
    found = sum(len(text) for value in request.values() if value.dtype == object for text in value.ravel())
    if found > bounds.text_bytes:
        raise _too_large(f"its texts: {found} bytes", bounds.text_bytes, "--max-text-bytes")


def positions(value: np.ndarray, shape: Shape) -> int:
    """The product of the sizes of an input's free axes."""
    return prod(size for size, declared in zip(value.shape, shape, strict=False) if declared is None)


def within(
    numbers: Sequence[int], requests: Sequence[Arrays], shapes: Mapping[str, Shape], tokens: int
) -> list[list[int]]:
    """The requests of a group, by position, in as many runs as keep each run within `tokens`, padding included.

    A request that alone has more tokens is a run of its own; `check_size` refuses it.
    """
    runs: list[list[int]] = []
    rows = longest = 0
    for number in numbers:
        count = max(value.shape[0] if value.ndim else 1 for value in requests[number].values())
        length = max(positions(value, shapes[key]) for key, value in requests[number].items()) // max(count, 1)
        if not runs or (rows + count) * max(longest, length) > tokens:
            runs.append([])
            rows = longest = 0
        runs[-1].append(number)
        rows, longest = rows + count, max(longest, length)
    return runs


def check_values(request: Arrays, token_types: int | None, *, first_row: int = 0) -> None:
    """Raises UsageError for a mask other than 0 and 1, and for token types that the model's table has not.

    Checked are the integers [batch, seq] by the names of BERT's inputs. `token_types` is the number of rows of the
    table, None if it is not known. `first_row` is the number of the first row in the error.
    """
    for key, most in {MASK: 1, **dict.fromkeys(TOKEN_TYPES, None if token_types is None else token_types - 1)}.items():
        value = request.get(key)
        if value is None or value.dtype.kind not in "iu" or value.ndim != 2 or most is None:
            continue
        wrong = np.argwhere((value < 0) | (value > most))
        if len(wrong):
            row, column = map(int, wrong[0])
            expected = "0 (padding) or 1 (a token)" if key == MASK else f"0 to {most}, the model's token types"
            raise UsageError(
                f"input {key}, row {first_row + row}, position {column}: expected {expected}, "
                f"found {value[row, column]}",
                hint="the model would return numbers for it, but they mean nothing",
            )


def _too_large(found: str, most: int, option: str) -> UsageError:
    return UsageError(
        f"the request is too large: {found}, and the most is {most}",
        hint=f"send less at a time, or start the server with a larger {option}",
    )
