"""Which requests share a run, how their inputs become one batch, and how its outputs become their answers again.

A request is a dict of inputs by key. An answer must not depend on who else was waiting: requests of other lengths are
padded only where `probing` has found padding to be exact, and whatever follows the longest sequence of a batch is cut
to the request's own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

Arrays = Mapping[str, np.ndarray]
MASK = "input_mask"
IDS = ("input_word_ids", "input_ids")
PADDABLE = (*IDS, MASK, "input_type_ids", "segment_ids")
"""BERT's inputs, today's names and TensorFlow 1's: int [batch, seq]; zeros behind a row are padding, which the mask
tells from tokens. No other input is ever padded."""

SHORTEST_BUCKET = 16


@dataclass(frozen=True)
class Layout:
    """How a batched signature behaves.

    `padded`: the inputs whose axis 1 may be padded; empty when only equal shapes share a run. `sequence_axes`: by
    output, the axes that are as long as the longest sequence of the batch. `mask_output`: for texts, the output
    [batch, seq] that tells how long each row is. `alone`: nothing may share a run.
    """

    padded: frozenset[str] = frozenset()
    sequence_axes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    mask_output: str | None = None
    alone: bool = False


def rows_of(request: Arrays) -> int:
    """The size of a request's batch axis."""
    return next(iter(request.values())).shape[0]


def length_of(request: Arrays) -> int:
    """How long the sequences of a request are, its own padding among them."""
    return request[MASK].shape[1]


def group(requests: Sequence[Arrays], layout: Layout) -> list[list[int]]:
    """The requests that share a run, by position; each is in exactly one group."""
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for number, request in enumerate(requests):
        groups[_key(number, request, layout)].append(number)
    return list(groups.values())


def _key(number: int, request: Arrays, layout: Layout) -> Hashable:
    if layout.alone or len({value.shape[:1] for value in request.values()}) != 1:
        return number
    others = tuple((key, value.shape[1:]) for key, value in sorted(request.items()) if key not in layout.padded)
    if not layout.padded:
        return others
    if len({request[key].shape for key in layout.padded}) != 1:
        return number  # let the model say what is wrong with it
    length = length_of(request)
    if length == 0 or rows_of(request) == 0 or request[MASK].max(axis=1).min() < 1:
        # A row that is nothing but padding attends to all of it: more padding would change it.
        return ("exactly", length, others)
    # Lengths of one bucket share a run, so padding never doubles what is computed (but for the very short).
    return ("padded", max(SHORTEST_BUCKET, 1 << (length - 1).bit_length()), others)


def join(requests: Sequence[Arrays], layout: Layout) -> dict[str, np.ndarray]:
    """The inputs of a group as one batch, padded with zeros to the longest request."""
    if len(requests) == 1:
        return dict(requests[0])
    joined = {}
    for key in requests[0]:
        parts = [request[key] for request in requests]
        if key in layout.padded:
            longest = max(part.shape[1] for part in parts)
            parts = [np.pad(part, ((0, 0), (0, longest - part.shape[1]))) for part in parts]
        joined[key] = np.concatenate(parts)
    return joined


def split(outputs: Arrays, requests: Sequence[Arrays], layout: Layout) -> list[dict[str, np.ndarray]]:
    """The answers of a group, one a request, each as if it had run alone.

    `outputs` need `layout.mask_output` where there is one. Raises ValueError when an output's axis 0 is not the batch.
    """
    if len(requests) == 1:
        return [dict(outputs)]
    ends = np.cumsum([rows_of(request) for request in requests])
    for key, value in outputs.items():
        if value.shape[:1] != (ends[-1],):
            raise ValueError(f"output {key} has the shape {value.shape} for a batch of {ends[-1]} rows")
    answers = []
    for request, end in zip(requests, ends, strict=True):
        rows = slice(end - rows_of(request), end)
        own = {key: value[rows] for key, value in outputs.items()}
        if layout.mask_output is not None:
            length = int(own[layout.mask_output].sum(axis=1).max(initial=0))
        elif layout.padded:
            length = length_of(request)
        else:
            length = 0
        answers.append({key: _cut(value, layout.sequence_axes.get(key, ()), length) for key, value in own.items()})
    return answers


def _cut(value: np.ndarray, axes: Sequence[int], length: int) -> np.ndarray:
    return value[tuple(slice(length) if axis in axes else slice(None) for axis in range(value.ndim))]
