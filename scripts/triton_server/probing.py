"""How a signature behaves, found by running it: the axes that follow the sequence, and whether sharing a run is exact.

Two small requests are run alone and together. This also warms the model up before the server says that it is ready.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from triton_server.batching import IDS, MASK, PADDABLE, Arrays, Layout, join, split

Shape = Sequence[int | None]
Run = Callable[[Arrays], Mapping[str, np.ndarray]]

TOLERANCE = 2e-5
"""Of max abs error: this, and as much again times the output's RMS, as in surgery's parity."""


@dataclass(frozen=True)
class Tensor:
    """An input or output of a signature."""

    dtype: np.dtype
    shape: Shape


def learn_layout(inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor], run: Run) -> tuple[Layout, str]:
    """The layout of a batched signature, and in a sentence which requests share a run."""
    equal = Layout(), "requests of equal shapes share a run"
    if all(tensor.dtype == object and len(tensor.shape) == 1 for tensor in inputs.values()):
        if all(None not in tensor.shape[1:] for tensor in outputs.values()):
            return Layout(), "all requests share a run"
        sentence = "all requests share a run; answers are cut to the request's longest text"
        if _is_matrix(outputs.get(MASK)):
            short, long = ({key: np.array([text], object) for key in inputs} for text in (b"a", b"a a a a"))
            return _prove(Layout(mask_output=MASK), MASK, short, long, run, sentence)
        return Layout(alone=True), "each request runs alone: outputs have lengths of their own, and no input_mask"
    if any(tensor.dtype == object for tensor in inputs.values()):
        return Layout(alone=True), "each request runs alone: it has texts and other inputs"
    padded = frozenset(key for key in PADDABLE if _is_matrix(inputs.get(key)) and inputs[key].dtype.kind in "iu")
    if MASK not in padded or padded.isdisjoint(IDS):
        return equal
    sentence = "requests of similar lengths share a run, padded to the longest"
    short, long = (_tokens(inputs, padded, length) for length in (3, 5))
    return _prove(Layout(padded=padded), None, short, long, run, sentence)


def _prove(
    layout: Layout, mask: str | None, short: Arrays, long: Arrays, run: Run, sentence: str
) -> tuple[Layout, str]:
    """The layout with its sequence axes, if two requests get the same answers together as alone.

    `mask` is the output that tells lengths, where no input does.
    """
    unproven = Layout(alone=True) if mask else Layout()
    what = "each request runs alone" if mask else "only requests of equal shapes share a run"
    try:
        alone = [run(short), run(long)]
        measured = [answer[mask] for answer in alone] if mask else [short[MASK], long[MASK]]
        lengths = [array.shape[1] for array in measured]
        layout = Layout(layout.padded, _following(alone, lengths), layout.mask_output)
        together = split(run(join([short, long], layout)), [short, long], layout)
    except Exception as error:  # whatever the model makes of inputs that were made up
        return unproven, f"{what}: trying it out failed ({type(error).__name__})"
    worst = max(
        (_excess(expected[key], found[key]), key)
        for expected, found in zip(alone, together, strict=True)
        for key in expected
    )
    if lengths[0] == lengths[1] or worst[0] > 1:
        return unproven, f"{what}: {worst[1]} changes when a longer request joins"
    return layout, sentence


def _following(alone: Sequence[Mapping[str, np.ndarray]], lengths: Sequence[int]) -> dict[str, tuple[int, ...]]:
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


def _is_matrix(tensor: Tensor | None) -> bool:
    return tensor is not None and list(tensor.shape) == [None, None]
