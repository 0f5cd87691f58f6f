"""The tensors that a caller selects by `NAME=OUTPUT`, looked up in a listed graph.

All faults are reported together, before TensorFlow is loaded.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from surgery.arguments import argument
from surgery.errors import UsageError
from surgery.graph_taps.listing import GraphListing, GraphTensor

VALID_OUTPUT = re.compile(r"[A-Za-z0-9_]+")
NEAREST = 5
REACHABLE = 8


@dataclass(frozen=True, kw_only=True)
class GraphTap:
    """A tensor that becomes an output.

    Attributes:
        output: Its key in the signature.
        tensor: The tensor.
    """

    output: str
    tensor: GraphTensor


def resolve_taps(listing: GraphListing, selections: Sequence[str]) -> tuple[GraphTap, ...]:
    """The tensors that `NAME` or `NAME=OUTPUT` select. Without OUTPUT the key is made from the name.

    Raises UsageError with every fault: unknown names, tensors without a single value, keys that are taken.
    """
    tensors = {tensor.name: tensor for tensor in listing.tensors}
    taken = {output.key: "the signature has an output of that name" for output in listing.signature.outputs}
    taps, faults = [], []
    for selection in selections:
        wanted, equals, output = selection.partition("=")
        name = re.sub(r":0+$", "", wanted)
        key = output if equals else default_output(name)
        if name not in tensors:
            faults.append(f"{argument('tensors', wanted)}: {_unknown(listing, name)}")
        elif not VALID_OUTPUT.fullmatch(key):
            faults.append(
                f"{argument('tensors', selection)}: expected NAME=OUTPUT, with an OUTPUT of letters, digits and _"
            )
        elif key in taken:
            faults.append(f"{argument('tensors', selection)}: {taken[key]}, {key}; choose another with {name}=OUTPUT")
        else:
            taken[key] = f"{argument('tensors', wanted)} has that output already"
            taps.append(GraphTap(output=key, tensor=tensors[name]))
    if not selections:
        faults.append(f"no {argument('tensors')} was given")
    if faults:
        raise UsageError(
            f"choosing tensors of {listing.files.name}, signature {listing.signature.name}:"
            + "".join(f"\n  {fault}" for fault in faults),
            hint="surgery graph lists every tensor that can be tapped",
        )
    return tuple(taps)


def default_output(name: str) -> str:
    """The key of an output whose caller gives none: `layer_Split_1` for `layer/Split:1`."""
    return re.sub(r"[^A-Za-z0-9_]", "_", name)


def nearest(wanted: str, names: Iterable[str]) -> list[str]:
    """At most five names that the caller may mean: first names that contain `wanted`, then names spelt like it."""
    known = list(names)
    part_of = sorted((name for name in known if wanted.lower() in name.lower()), key=len) if wanted else []
    alike = difflib.get_close_matches(wanted, known, n=NEAREST) if len(part_of) < NEAREST else []
    return list(dict.fromkeys([*part_of, *alike]))[:NEAREST]


def _unknown(listing: GraphListing, name: str) -> str:
    """Why a name cannot be tapped, and which names can."""
    operation = name.partition(":")[0]
    for region in listing.enclosed:
        if operation in region.inside:
            reason = {"loop": "it has a value per step", "branch": "it has a value only when the branch is taken"}
            return (
                f"it stands inside the {region.kind} {region.name} ({region.op}), where "
                f"{reason.get(region.kind, 'it has no single value')}; reachable are "
                + (_some(region.reachable, REACHABLE) or "no tensors that it returns")
            )
    if operation in listing.handles:
        return "it is a handle (a variable, a table, a list of tensors), which has no value to return"
    if operation in {feed.partition(":")[0] for feed in listing.feeds}:
        return "it is an input of the signature"
    numbers = [tensor.name for tensor in listing.tensors if tensor.name.partition(":")[0] == operation]
    if numbers:
        return f"{operation} has the outputs {_some(numbers, REACHABLE)}"
    close = nearest(name, (tensor.name for tensor in listing.tensors))
    return "there is no such tensor" + (f"; the nearest are {', '.join(close)}" if close else "")


def _some(names: Sequence[str], count: int) -> str:
    return ", ".join(names[:count]) + (f" and {len(names) - count} more" if len(names) > count else "")
