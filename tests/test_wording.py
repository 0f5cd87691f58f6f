"""Texts for people: names as they are shown."""

from __future__ import annotations

from surgery.wording import all_shown


def test_of_two_names_that_are_shown_alike_neither_hides_the_other():
    assert all_shown({"a\x1b": 1, "a\\x1b": 2, "a\\x1b (another)": 3}) == {
        "a\\x1b": 1,
        "a\\x1b (another)": 2,
        "a\\x1b (another) (another)": 3,
    }
