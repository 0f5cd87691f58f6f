"""Which requests share a run, how their inputs become one batch, and how its outputs become their answers again.

A request is a dict of inputs by key, each with the batch as axis 0. An answer must not depend on the other requests of
its run. Requests of different lengths are therefore padded only where `probing` has found padding to be exact, and
every axis that is as long as the batch's longest sequence is cut to the length of the request's own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from surgery.batching import MASK
from surgery.errors import UsageError

Arrays = Mapping[str, np.ndarray]
Shape = Sequence[int | None]
"""Sizes of axes, None where free."""

SHORTEST_BUCKET = 16


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a batched signature behaves.

    Attributes:
        padded: The inputs whose axis 1 may be padded; empty if only requests of equal shapes share a run.
        sequence_axes: By output, the axes that are as long as the longest sequence of the batch.
        mask_output: For texts, the output [batch, seq] that shows the length of each row; else None.
        alone: True if no request shares a run.
    """

    padded: frozenset[str] = frozenset()
    sequence_axes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    mask_output: str | None = None
    alone: bool = False


def rows_of(request: Arrays) -> int:
    """The size of a request's batch axis."""
    size: int = next(iter(request.values())).shape[0]
    return size


def length_of(request: Arrays) -> int:
    """The length of a request's sequences in tokens, its own padding included."""
    length: int = request[MASK].shape[1]
    return length


def group(requests: Sequence[Arrays], layout: Layout, *, buckets: bool = True) -> list[list[int]]:
    """Groups of requests that share a run, by position. Each request is in exactly one group.

    With `buckets`, requests share a run if their lengths round up to the same power of two. Padding then never doubles
    the computation, except for lengths below 8. Without `buckets`, all lengths share a run: the caller has already put
    similar lengths together.
    """
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for number, request in enumerate(requests):
        groups[_key(number, request, layout, buckets)].append(number)
    return list(groups.values())


def _key(number: int, request: Arrays, layout: Layout, buckets: bool) -> Hashable:
    if layout.alone or len({value.shape[:1] for value in request.values()}) != 1:
        return number
    others = tuple((key, value.shape[1:]) for key, value in sorted(request.items()) if key not in layout.padded)
    if not layout.padded:
        return others
    if len({request[key].shape for key in layout.padded}) != 1:
        return number  # let the model say what is wrong with it
    length = length_of(request)
    if length == 0 or rows_of(request) == 0 or request[MASK].max(axis=1).min() < 1:
        # A row of nothing but padding attends to all of its padding: more padding would change the row.
        return ("exactly", length, others)
    bucket = max(SHORTEST_BUCKET, 1 << (length - 1).bit_length()) if buckets else None
    return ("padded", bucket, others)


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
    """The answers of a group, one per request, each as if the request had run alone.

    `outputs` must include `layout.mask_output` if the layout has one. Raises ValueError when axis 0 of an output is not
    the batch.
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
        answers.append(_cut(own, layout.sequence_axes, length))
    return answers


def without_batch(outputs: Mapping[str, Shape | None], inputs: Iterable[Shape | None]) -> list[str]:
    """The outputs that declare no row for each row of the inputs: no axis at all, or a first axis of another size.

    A table of 100 rows cut into rows would give the third text the third row of the table.
    """
    batch = {shape[0] for shape in inputs if shape} | {None}
    return [name for name, shape in outputs.items() if shape is not None and (not shape or shape[0] not in batch)]


def check_rows(outputs: Arrays, count: int) -> None:
    """Raises UsageError for an output of a run that has not one row for each of the `count` rows of the batch."""
    for name, value in outputs.items():
        if value.shape[:1] != (count,):
            raise UsageError(
                f"output {name} has the shape {list(value.shape)} for a batch of {count}",
                hint="choose other outputs: of this one it is not known which row is whose",
            )


def split_texts(outputs: Arrays, shapes: Mapping[str, Shape | None]) -> list[dict[str, np.ndarray]]:
    """The rows of a signature that pads texts itself: arrays without the batch axis, cut to the tokens of the mask.

    `shapes` are the declared shapes. A free axis that is as long as the batch's longest row is a sequence axis. Without
    an output `input_mask` of the shape [batch, seq], nothing is cut. `check_rows` comes before.
    """
    count = rows_of(outputs)
    rows = [{key: value[number : number + 1] for key, value in outputs.items()} for number in range(count)]
    if is_matrix(shapes.get(MASK)):
        longest = outputs[MASK].shape[1]
        axes = {key: _free_axes_of_length(value, shapes[key], longest) for key, value in outputs.items()}
        rows = [_cut(row, axes, int(row[MASK].sum())) for row in rows]
    return [{key: value[0] for key, value in row.items()} for row in rows]


def is_matrix(shape: Shape | None) -> bool:
    """Whether a declared shape is [batch, seq], both free."""
    return shape is not None and list(shape) == [None, None]


def _free_axes_of_length(value: np.ndarray, shape: Shape | None, length: int) -> tuple[int, ...]:
    declared = enumerate(shape or ())
    return tuple(axis for axis, size in declared if axis and size is None and value.shape[axis] == length)


def _cut(values: Arrays, axes: Mapping[str, Sequence[int]], length: int) -> dict[str, np.ndarray]:
    return {
        key: value[tuple(slice(length) if axis in axes.get(key, ()) else slice(None) for axis in range(value.ndim))]
        for key, value in values.items()
    }
