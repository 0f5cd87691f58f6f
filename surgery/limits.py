"""Limits: how large or deep a module, or a file of it, may be. Modules come from strangers.

Each limit is a row of one table, with a name and a default that leaves room for every published BERT-large. A command
raises one with `--limit NAME=VALUE`, a function with `limits={"NAME": VALUE}`. Code that reads asks the table:

    limits.check("unpacked_bytes", declared, f"unpacking {archive}")

The values hold for the call of a public function (`surgery.boundary`), so that no function in between has to hand them
on. They do not reach other processes by themselves: Beam's workers are sent them (`surgery.beam.handler`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from surgery.arguments import argument
from surgery.errors import LimitError, UsageError

Limits = Mapping[str, int] | None
"""The argument `limits` of the public functions: values by the names of limits. None leaves all at their defaults."""


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A limit.

    Attributes:
        name: The name by which it is raised.
        default: Its value unless it is raised.
        unit: What the value counts.
        bounds: What it bounds.
        fixed: Whether a library sets it, so that it cannot be raised.
    """

    name: str
    default: int
    unit: str
    bounds: str
    fixed: bool = False


KIB, MIB, GIB = 2**10, 2**20, 2**30

LIMITS = {
    row.name: row
    for row in (
        Limit(name="unpacked_bytes", default=3 * GIB, unit="bytes", bounds="all files of an archive, unpacked"),
        Limit(name="files", default=10_000, unit="files", bounds="the files and folders of an archive"),
        # Parsed, a message can take fifty times the bytes that it has in the file.
        Limit(
            name="saved_model_bytes",
            default=32 * MIB,
            unit="bytes",
            bounds="saved_model.pb, and other graphs of a module",
        ),
        Limit(name="index_bytes", default=8 * MIB, unit="bytes", bounds="the index of a checkpoint"),
        Limit(name="text_bytes", default=32 * MIB, unit="bytes", bounds="a vocabulary, or a file of JSON"),
        Limit(
            name="message_depth",
            default=100,
            unit="levels",
            bounds="protobuf messages in one another, for the library that reads them",
            fixed=True,
        ),
        Limit(name="json_depth", default=200, unit="levels", bounds="objects and lists of a JSON file in one another"),
        Limit(name="nodes", default=1_000_000, unit="operations", bounds="a graph and the functions of its library"),
        Limit(name="functions", default=50_000, unit="functions", bounds="the function library of a graph"),
        Limit(name="call_depth", default=100, unit="calls", bounds="functions of a graph that call one another"),
        Limit(
            name="inlined_nodes",
            default=500_000,
            unit="operations",
            bounds="a graph with the functions that it calls written out, call by call",
        ),
        Limit(name="object_depth", default=1_000, unit="objects", bounds="the way to an object from a module's root"),
        Limit(
            name="object_paths",
            default=64 * MIB,
            unit="characters",
            bounds="the paths of a module's objects, all together",
        ),
        Limit(name="constant_elements", default=64 * MIB, unit="elements", bounds="a constant of a graph"),
        Limit(name="variables", default=50_000, unit="variables", bounds="a module, or the tensors of a checkpoint"),
        Limit(name="config_number", default=10_000_000, unit="", bounds="a number of a model's configuration"),
        Limit(name="blocks", default=1_000, unit="blocks", bounds="the blocks of an encoder"),
        Limit(
            name="example_elements",
            default=200_000,
            unit="elements",
            bounds="the example inputs of a signature that serving shows, or writes as a warm-up request",
        ),
        Limit(
            name="input_elements",
            default=10_000_000,
            unit="elements",
            bounds="the smallest inputs on which tap can compare a signature",
        ),
        Limit(name="input_bytes", default=GIB, unit="bytes", bounds="the arrays of a file of inputs, unpacked"),
        Limit(name="text_characters", default=1_000_000, unit="characters", bounds="a text of a corpus"),
        Limit(
            name="batch_seconds",
            default=600,
            unit="seconds",
            bounds="the run of a signature on one batch, and the set-up of a module",
        ),
        Limit(name="answer_seconds", default=10, unit="seconds", bounds="the wait for a server's next bytes"),
    )
}
"""Every limit by its name."""

_CHANGED: ContextVar[Mapping[str, int] | None] = ContextVar("limits", default=None)


def limit(name: str) -> int:
    """The value of a limit."""
    return changed().get(name, LIMITS[name].default)


def changed() -> Mapping[str, int]:
    """The limits that are not at their defaults, by name."""
    return _CHANGED.get() or {}


def check(name: str, found: int, doing: str, *, exactly: bool = True) -> None:
    """Raises LimitError if a number is above a limit.

    Args:
        name: The limit.
        found: The number.
        doing: What is being done to which file: the beginning of the error.
        exactly: Whether `found` is all that there is. Otherwise the count ended when it passed the limit.
    """
    if found > limit(name):
        raise exceeded(name, found if exactly else None, doing)


def exceeded(name: str, found: int | None, doing: str) -> LimitError:
    """The error of a limit that does not suffice; `found` is None where it is not known how much there is."""
    row, value = LIMITS[name], limit(name)
    amount = "more" if found is None else str(found)
    raising = argument("limits", {name: ... if found is None else found})
    return LimitError(
        f"{doing}: the limit {name} is {value} {row.unit}".rstrip() + f" ({row.bounds}), found {amount}",
        hint="this limit cannot be raised: no published module comes near it"
        if row.fixed
        else f"if you trust the module, raise the limit: {raising}",
    )


@contextmanager
def raised(values: Limits) -> Iterator[None]:
    """Sets limits by name for a block. Limits that are not named stay as they are.

    Raises UsageError for a name that no limit has, and for a value that is no positive whole number.
    """
    for name, value in (values or {}).items():
        if name not in LIMITS or LIMITS[name].fixed:
            raise UsageError(
                f"{argument('limits', {name: value})}: there is no such limit that could be set",
                hint="the limits are " + ", ".join(row.name for row in LIMITS.values() if not row.fixed),
            )
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise UsageError(f"{argument('limits', {name: value})}: expected a whole number of at least 1")
    token = _CHANGED.set({**changed(), **(values or {})})
    try:
        yield
    finally:
        _CHANGED.reset(token)
