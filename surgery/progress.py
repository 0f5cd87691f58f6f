"""How a long job says how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called as `progress(step, done, total)`: the step's name, units done so far, and units in all (0: not known)."""


def silent(step: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


def counting(progress: Progress, step: str, total: int, done: int = 0) -> Callable[[], None]:
    """A function that reports one more done of a step at each call; `done` are there already."""
    progress(step, done, total)

    def tick() -> None:
        nonlocal done
        done += 1
        progress(step, done, total)

    return tick
