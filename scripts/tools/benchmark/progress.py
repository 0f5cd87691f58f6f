"""Talk while measuring: on stderr, so that stdout holds nothing but the results."""

import sys


def say(text: str) -> None:
    """Print one line of progress."""
    print(text, file=sys.stderr, flush=True)
