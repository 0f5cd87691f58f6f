"""The warm-up requests of an export: which sizes of which signatures, with inputs made up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from surgery.arguments import argument
from surgery.errors import UsageError
from surgery.tfserving.example_inputs import example_inputs
from surgery.tfserving.served import Served

MOST_RECORDS = 1000
"""More the server refuses."""

SHORTEST = 8

LONGEST = 512
"""Words of a text, and tokens of a row where nobody says how many the encoder takes, at the most."""


@dataclass(frozen=True)
class WarmupRequest:
    """One request: the signature's name, how large, and dtype and nested lists by input."""

    signature: str
    label: str
    inputs: dict[str, tuple[str, Any]]


def warmup_requests(served: Served) -> tuple[WarmupRequest, ...]:
    """A short, a middling and the longest row for each signature, and the described batch where that is larger.

    Raises UsageError when they are more than the server reads, ModuleError for inputs that cannot be made up.
    """
    longest = served.longest or LONGEST
    lengths = sorted({min(SHORTEST, longest), max(1, longest // 2), longest})
    shapes = [(1, length) for length in lengths]
    shapes += [(served.batch, served.length)] if served.batch > 1 else []
    found: dict[tuple[str, str], WarmupRequest] = {}
    for signature in served.signatures:
        for batch, length in shapes:
            inputs = example_inputs(signature.signature, batch, length, whole=True)
            # Where an axis is fixed, several of them are the same request.
            key = (signature.name, repr(inputs))
            found.setdefault(key, WarmupRequest(signature.name, f"{batch} x {length}", inputs))
    if len(found) > MOST_RECORDS:
        raise UsageError(
            f"warming up {served.folder}: {len(found)} requests, expected at most {MOST_RECORDS}, the server's limit",
            hint=f"name the signatures that matter with {argument('signatures', 'NAME')}",
        )
    return tuple(found.values())
