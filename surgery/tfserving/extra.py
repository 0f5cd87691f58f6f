"""The extra `serving`: TensorFlow Serving's own messages, with which warm-up requests are written."""

from __future__ import annotations

from importlib.util import find_spec

from surgery.errors import UsageError

INSTALL = "pip install 'hub-surgery[serving]'"


def has_serving() -> bool:
    """Whether tensorflow-serving-api is installed; looking does not import it."""
    return find_spec("tensorflow_serving") is not None


def require_serving(doing: str) -> None:
    """Raises UsageError where tensorflow-serving-api is missing, saying how to get it."""
    if not has_serving():
        raise UsageError(
            f"{doing}: expected TensorFlow Serving's messages (tensorflow-serving-api), which are not installed",
            hint=INSTALL,
        )
