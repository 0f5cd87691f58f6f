"""The warm-up requests of an export: which sizes of which signatures, with inputs made up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from surgery.arguments import argument
from surgery.errors import UsageError
from surgery.tfserving.example_inputs import example_inputs
from surgery.tfserving.served import Served

MOST_RECORDS = 1000
"""The server refuses a version with more warm-up records than this."""

SHORTEST = 8
"""Words of the shortest text, and tokens of the shortest row."""
LONGEST = 512
"""Words of the longest text, and tokens of the longest row where the encoder's limit is not known."""


@dataclass(frozen=True, kw_only=True)
class WarmupRequest:
    """One request.

    Attributes:
        signature: The signature's name.
        label: The size, such as "1 x 128".
        inputs: Dtype and nested lists of values, by input.
    """

    signature: str
    label: str
    inputs: dict[str, tuple[str, Any]]


def warmup_requests(served: Served) -> tuple[WarmupRequest, ...]:
    """For each signature a short, a middling and the longest row, and the described batch if it has several rows.

    Raises UsageError for more requests than the server reads, ModuleError for inputs that cannot be made up.
    """
    longest = served.longest or LONGEST
    lengths = sorted({min(SHORTEST, longest), max(1, longest // 2), longest})
    shapes = [(1, length) for length in lengths]
    shapes += [(served.batch, served.length)] if served.batch > 1 else []
    found: dict[tuple[str, str], WarmupRequest] = {}
    for signature in served.signatures:
        for batch, length in shapes:
            inputs = example_inputs(signature.signature, batch, length, whole=True)
            # Where an axis is fixed, several sizes give the same request.
            key = (signature.name, repr(inputs))
            found.setdefault(key, WarmupRequest(signature=signature.name, label=f"{batch} x {length}", inputs=inputs))
    if len(found) > MOST_RECORDS:
        raise UsageError(
            f"warming up {served.folder}: {len(found)} requests, expected at most {MOST_RECORDS}, the server's limit",
            hint=f"name the signatures that matter with {argument('signatures', 'NAME')}",
        )
    return tuple(found.values())
