"""How a long job reports its progress."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""A function called as `progress(step, done, total)`: the step's name, the units that are done (batches, for example),
and all units of the step, 0 if their number is not known."""


def silent(step: str, done: int, total: int) -> None:
    """Progress that shows nothing."""


def counting(progress: Progress, step: str, total: int, done: int = 0) -> Callable[[], None]:
    """A function that counts one more unit of a step at each call, and reports it. The count starts at `done`."""
    progress(step, done, total)

    def tick() -> None:
        nonlocal done
        done += 1
        progress(step, done, total)

    return tick
