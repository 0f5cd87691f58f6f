"""How a long job says how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with a step, how far it is, and how far it goes (0: not known)."""


def counting(progress: Progress, step: str, total: int) -> Callable[[], None]:
    """A function that reports one more done of a step at each call."""
    done = 0
    progress(step, 0, total)

    def tick() -> None:
        nonlocal done
        done += 1
        progress(step, done, total)

    return tick
