"""How a signature behaves, found by running it: the axes that follow the sequence, and whether sharing a run is exact.

Two requests are run alone and together. A server makes up two small requests for this; running them also warms the
model up before the server reports that it is ready. A handler of batches uses the first two that differ in length.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from surgery.batching import MASK, TYPE_IDS, WORD_IDS
from surgery.batching.sharing import Arrays, Layout, Shape, is_matrix, join, length_of, split

Run = Callable[[Arrays], Mapping[str, np.ndarray]]

IDS = (WORD_IDS, "input_ids")
PADDABLE = (*IDS, MASK, TYPE_IDS, "segment_ids")
"""BERT's inputs by today's names and TensorFlow 1's, integers [batch, seq]. Zeros at the end of a row are padding; the
mask distinguishes them from tokens."""

TOLERANCE = 2e-5
"""The largest absolute error may be TOLERANCE x (1 + RMS of the output), as in the parity check."""


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """An input or output of a signature.

    Attributes:
        dtype: Its numpy dtype; `object` for texts.
        shape: Its shape with the batch axis, None for a free axis.
    """

    dtype: np.dtype
    shape: Shape


def learn_layout(inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor], run: Run) -> tuple[Layout, str]:
    """The layout of a batched signature, and a sentence that says which requests share a run.

    Only inputs of PADDABLE are ever padded. Nothing is padded for a model that fails on the requests made up here.
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
    except Exception as error:  # a model may raise anything for inputs that were made up
        return otherwise, f"{apart}: trying it out failed ({type(error).__name__})"
    return (proven, sentence) if proven is not None else (otherwise, f"{apart}: {difference}")


def prove(layout: Layout, short: Arrays, long: Arrays, run: Run) -> tuple[Layout | None, str]:
    """The layout with its sequence axes, if two requests of different lengths get the same answers together as alone.

    Otherwise None, and a sentence that names the output that changes. Raises whatever `run` raises.
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
    """By output, the axes whose size is each request's length in that request's own answer."""
    return {
        key: tuple(
            axis
            for axis in range(1, value.ndim)
            if value.shape[axis] == lengths[0] and alone[1][key].shape[axis] == lengths[1]
        )
        for key, value in alone[0].items()
    }


def _excess(expected: np.ndarray, found: np.ndarray) -> float:
    """The largest error in units of the tolerance; infinite for shapes or texts that differ, and for NaN."""
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
    """A request of two rows, [2, length], with ids that every vocabulary has. The second row's mask has a gap."""
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
