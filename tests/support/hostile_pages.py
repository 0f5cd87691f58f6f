"""Documents with names that would like to be HTML or JavaScript, for the tests of pages."""

from __future__ import annotations

from typing import Any

MARKUP = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(2)</script>",
    "\"' onfocus=alert(3) autofocus x='",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt;<!-- -->",
    "\x1b[31m\u202e\u2028",
)
"""What is added to the names, one after the other."""

NAMED = frozenset({"sha256", "types", "lacking"})
"""Objects whose keys are names of a module's author."""


def hostile(document: Any) -> Any:
    """A document in which every text, and every key that is a name, has some markup after it."""
    number = 0

    def with_markup(text: str) -> str:
        nonlocal number
        number += 1
        return text + MARKUP[number % len(MARKUP)]

    def walk(value: Any, named: bool) -> Any:
        if isinstance(value, dict):
            return {with_markup(key) if named else key: walk(item, key in NAMED) for key, item in value.items()}
        if isinstance(value, list):
            return [walk(item, named) for item in value]
        return with_markup(value) if isinstance(value, str) else value

    return walk(document, False)
