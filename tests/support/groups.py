"""Which tests run in one worker, one after the other, and which of them are slow.

Tests that convert the same sample are one group, so that it is converted once, in one worker. Every other file is a
group of its own.
"""

from __future__ import annotations

import pytest

MADE_OF_SAMPLES = frozenset({"source", "converted", "recorded", "tapped", "load"})
"""Fixtures that make something of a sample by its name."""

SLOW = ("tests/whole/", "tests/tools/", "tests/triton/", "tests/docs/test_walk_through.py")
"""Whole jobs: what they do takes seconds, and all of it takes minutes."""


def group_of(item: pytest.Item) -> str:
    """The sample that a test is about, by its parameter `name` or its file's `NAME`; else its file."""
    if MADE_OF_SAMPLES.intersection(item.fixturenames):
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        name = parameters.get("name", getattr(item.module, "NAME", None))
        if isinstance(name, str):
            return name
    return item.nodeid.partition("::")[0]


def arrange(items: list[pytest.Item]) -> None:
    """Marks each test with its group, and with `slow` by its folder, and puts the tests of a group together."""
    places: dict[str, int] = {}
    keys: dict[pytest.Item, int] = {}
    for item in items:
        group = group_of(item)
        keys[item] = places.setdefault(group, len(places))
        item.add_marker(pytest.mark.xdist_group(group))
        if item.nodeid.startswith(SLOW):
            item.add_marker(pytest.mark.slow)
    items.sort(key=keys.__getitem__)
