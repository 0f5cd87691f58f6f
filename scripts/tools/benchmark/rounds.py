"""Interleaved rounds: every side is run once per turn, and another one begins each turn."""

import statistics
import time
from collections.abc import Callable, Mapping

Caller = Callable[[int], list[float]]
"""A function that runs a side a number of times, and returns the milliseconds of each call."""

PAUSE = 0.02
"""Seconds between two sides. A runtime's threads spin for a moment after a call, and would take cores from the next."""


def by_turns(
    sides: Mapping[str, Caller],
    *,
    turns: int,
    calls: int,
    warm_up: int,
    pause: Callable[[float], None] = time.sleep,
) -> dict[str, list[float]]:
    """Return one sample per turn for each side, in milliseconds: the median of its calls in that turn.

    Args:
        sides: A function for each side.
        turns: The number of samples of each side.
        calls: Calls per turn.
        warm_up: Calls of each side before the first turn, which are not counted.
        pause: Waits for a number of seconds.
    """
    names = list(sides)
    samples: dict[str, list[float]] = {name: [] for name in names}
    for name in names:
        sides[name](warm_up)
    for turn in range(turns):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            pause(PAUSE)
            samples[name].append(statistics.median(sides[name](calls)))
    return samples
