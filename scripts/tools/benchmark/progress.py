"""Progress while measuring. It goes to stderr, so that stdout only has the results."""

import sys


def say(text: str) -> None:
    """Print one line of progress."""
    print(text, file=sys.stderr, flush=True)
