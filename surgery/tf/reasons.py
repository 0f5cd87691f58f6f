"""TensorFlow's errors in one line. Their first line is often only "Graph execution error:"."""

from __future__ import annotations

NOISE = (
    "Graph execution error",
    "Detected at node",
    "Original stack trace",
    "<stack traces unavailable>",
    "File ",
    "node ",
    "Node: ",
    "[[",
    "(0)",
    "(1)",
)


def reason(error: BaseException) -> str:
    """The first line of an error's message that is no NOISE; if there is none, the name of the error's class."""
    text = str(getattr(error, "message", None) or error)
    for line in text.splitlines():
        line = line.strip()
        for prefix in ("(0) ", "(1) "):
            line = line.removeprefix(prefix)
        if line and not line.startswith(NOISE):
            return line
    return type(error).__name__
