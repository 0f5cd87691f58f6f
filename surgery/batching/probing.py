"""How a signature behaves, found by running it: the axes that follow the sequence, and whether sharing a run is exact.

Two requests are run alone and together. A server does that with two small requests that are made up, which also warms
the model up before the server says that it is ready; a handler of batches with the first two that differ in length.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from surgery.batching import MASK
from surgery.batching.sharing import Arrays, Layout, Shape, is_matrix, join, length_of, split

Run = Callable[[Arrays], Mapping[str, np.ndarray]]

IDS = ("input_word_ids", "input_ids")
PADDABLE = (*IDS, MASK, "input_type_ids", "segment_ids")
"""BERT's inputs, today's names and TensorFlow 1's: int [batch, seq]; zeros behind a row are padding, which the mask
tells from tokens."""

TOLERANCE = 2e-5
"""Of max abs error: this, and as much again times the output's RMS, as in surgery's parity."""


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """An input or output of a signature: its numpy dtype, `object` for texts, and its shape with the batch axis."""

    dtype: np.dtype
    shape: Shape


def learn_layout(inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor], run: Run) -> tuple[Layout, str]:
    """The layout of a batched signature, and in a sentence which requests share a run.

    Only inputs of PADDABLE are ever padded. A model that fails on the requests that are made up here is not padded.
    """
    if all(tensor.dtype == object and len(tensor.shape) == 1 for tensor in inputs.values()):
        if all(None not in tensor.shape[1:] for tensor in outputs.values()):
            return Layout(), "all requests share a run"
        if MASK not in outputs or not is_matrix(outputs[MASK].shape):
            return Layout(alone=True), "each request runs alone: outputs have lengths of their own, and no input_mask"
        layout = Layout(mask_output=MASK)
        sentence = "all requests share a run; answers are cut to the request's longest text"
        otherwise, apart = Layout(alone=True), "each request runs alone"
        short, long = ({key: np.array([text], object) for key in inputs} for text in (b"a", b"a a a a"))
    elif any(tensor.dtype == object for tensor in inputs.values()):
        return Layout(alone=True), "each request runs alone: it has texts and other inputs"
    else:
        padded = frozenset(key for key in PADDABLE if key in inputs and _is_paddable(inputs[key]))
        if MASK not in padded or padded.isdisjoint(IDS):
            return Layout(), "requests of equal shapes share a run"
        layout, sentence = Layout(padded=padded), "requests of similar lengths share a run, padded to the longest"
        otherwise, apart = Layout(), "only requests of equal shapes share a run"
        short, long = (_tokens(inputs, padded, length) for length in (3, 5))
    try:
        proven, difference = prove(layout, short, long, run)
    except Exception as error:  # whatever the model makes of inputs that were made up
        return otherwise, f"{apart}: trying it out failed ({type(error).__name__})"
    return (proven, sentence) if proven is not None else (otherwise, f"{apart}: {difference}")


def prove(layout: Layout, short: Arrays, long: Arrays, run: Run) -> tuple[Layout | None, str]:
    """The layout with its sequence axes, if two requests of different lengths get the same answers together as alone.

    Else None, and in a sentence which output changes. Raises whatever `run` raises.
    """
    alone = [run(short), run(long)]
    mask = layout.mask_output
    lengths = [answer[mask].shape[1] for answer in alone] if mask else [length_of(short), length_of(long)]
    layout = replace(layout, sequence_axes=_following(alone, lengths))
    together = split(run(join([short, long], layout)), [short, long], layout)
    worst, key = max(
        (_excess(expected[key], found[key]), key)
        for expected, found in zip(alone, together, strict=True)
        for key in expected
    )
    if lengths[0] == lengths[1] or worst > 1:
        return None, f"{key} changes when a longer request joins"
    return layout, ""


def _following(alone: Sequence[Arrays], lengths: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """By output, the axes that have the one length in the one answer, and the other in the other."""
    return {
        key: tuple(
            axis
            for axis in range(1, value.ndim)
            if value.shape[axis] == lengths[0] and alone[1][key].shape[axis] == lengths[1]
        )
        for key, value in alone[0].items()
    }


def _excess(expected: np.ndarray, found: np.ndarray) -> float:
    """The largest error in units of the tolerance; infinite for other shapes, texts or NaNs."""
    if expected.shape != found.shape:
        return float("inf")
    if expected.dtype.kind not in "fiub":
        return 0.0 if np.array_equal(expected, found) else float("inf")
    if expected.size == 0:
        return 0.0
    wide = expected.astype(np.float64)
    error = float(np.max(np.abs(wide - found)))
    bound = TOLERANCE * (1 + float(np.sqrt(np.mean(wide**2))))
    return error / bound if np.isfinite(error) else float("inf")


def _tokens(inputs: Mapping[str, Tensor], padded: frozenset[str], length: int) -> dict[str, np.ndarray]:
    """A request of two rows of ids that every vocabulary has, the second with a gap in its mask."""
    made = {}
    for key, tensor in inputs.items():
        if key in padded:
            made[key] = np.zeros((2, length), tensor.dtype)
        else:
            made[key] = np.zeros([2, *(1 if size is None else size for size in tensor.shape[1:])], tensor.dtype)
    for key in padded.intersection(IDS):
        made[key][:] = (np.arange(2 * length) * 7 % 3).reshape(2, length)
    made[MASK][:] = 1
    made[MASK][1, 1] = 0
    return made


def _is_paddable(tensor: Tensor) -> bool:
    return is_matrix(tensor.shape) and tensor.dtype.kind in "iu"
