"""An order in which every item comes after those that feed it, also for graphs that exceed Python's stack."""

from __future__ import annotations

from collections.abc import Callable, Container, Hashable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item", bound=Hashable)


def feeds_first(
    roots: Iterable[Item], feeds: Callable[[Item], Iterable[Item]], done: Container[Item]
) -> Iterator[Item]:
    """The roots and all items that feed them, each after its feeds, without those in `done`.

    The caller must add each item to `done` before it asks for the next. Raises ValueError when an item feeds itself.
    """
    begun: set[Item] = set()
    for root in roots:
        stack = [root]
        while stack:
            item = stack[-1]
            if item in done:
                stack.pop()
                continue
            if item not in begun:
                begun.add(item)
                if missing := [feed for feed in feeds(item) if feed not in done]:
                    # What has begun and is not done waits for this item: the stack leads from the one to the other.
                    if not begun.isdisjoint(missing):
                        looped = next(feed for feed in missing if feed in begun)
                        raise ValueError(f"{looped} feeds itself")
                    stack.extend(missing)
                    continue
            yield item
            stack.pop()
