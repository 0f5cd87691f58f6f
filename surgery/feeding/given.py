"""The values that a caller gives for a signature, each checked against what the signature takes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from surgery.arguments import argument
from surgery.errors import UsageError
from surgery.feeding.feeds import Feed
from surgery.feeding.values import Misfit, Typed, fitted, split_ragged, typed
from surgery.wording import did_you_mean, shape_text

Given = Mapping[str, Any]
"""Arrays, or numbers, texts and lists of them, by the key of an input."""


@dataclass(frozen=True, kw_only=True)
class Fed:
    """Inputs that fit a signature.

    Attributes:
        feeds: The tensors that the signature takes.
        arrays: Their values, by the keys of the feeds.
        notes: One sentence for each value that was cast.
    """

    feeds: tuple[Feed, ...]
    arrays: Mapping[str, np.ndarray]
    notes: tuple[str, ...]

    @property
    def label(self) -> str:
        """The shape of each input, for messages."""
        return ", ".join(f"{key} {shape_text(array.shape)}" for key, array in self.arrays.items()) or "no inputs"


def read_given(file: Path | None, examples: Iterable[str]) -> dict[str, Any]:
    """Inputs from an `.npz` file and from texts `KEY=VALUE`.

    Raises UsageError for an input that is given twice, and for a text without a key, and otherwise as
    surgery.formats.npz.
    """
    given: dict[str, Any] = {}
    if file is not None:
        from surgery.formats.npz import read_npz

        given.update(read_npz(file))
    for text in examples:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(
                f"{argument('example', text)}: expected KEY=VALUE", hint="VALUE is a text, a number, or lists in JSON"
            )
        if key in given:
            raise UsageError(
                f"{argument('example', text)}: the input {key} is given already", hint="give each input once"
            )
        given[key] = Typed(value)
    return given


def fit(feeds: Sequence[Feed], given: Given, doing: str) -> Fed:
    """Checks given inputs against the tensors that a signature takes.

    Raises UsageError with every fault: inputs that are missing, unknown or given twice, and values of another dtype or
    shape; it lists all that the signature takes.

    Args:
        feeds: What the signature takes.
        given: What the caller gives.
        doing: The beginning of the error.
    """
    names = {name: feed for feed in feeds for name in (feed.alias, feed.key) if name}
    names |= {feed.key: feed for feed in feeds}
    arrays: dict[str, np.ndarray] = {}
    notes: list[str] = []
    faults: list[str] = []
    unknown = []
    parts: dict[str, Any] = {}
    for key, value in given.items():
        try:
            whole = _as_ragged(feeds, given, key, value)
        except Misfit as misfit:
            faults.append(f"{key}: {misfit}")
            continue
        if whole is None and key not in names:
            unknown.append(key)
            continue
        for name, part in whole.items() if whole is not None else [(names[key].key, value)]:
            if name in parts:
                faults.append(f"{key}: {name} is given already")
            parts[name] = part
    for feed in feeds:
        if feed.key not in parts:
            if not any(fault.startswith(f"{_top(feed)}:") for fault in faults):
                faults.append(f"{feed.key}: it is missing")
            continue
        try:
            arrays[feed.key], note = fitted(parts[feed.key], feed)
        except Misfit as misfit:
            faults.append(f"{feed.key}: expected {feed.dtype} {shape_text(feed.shape)}, {misfit}")
            continue
        notes += [note] if note else []
    missing = [feed.alias or feed.key for feed in feeds if feed.key not in parts]
    for key in unknown:
        question = did_you_mean(difflib.get_close_matches(key, missing or list(names), n=2))
        faults.append(f"{key}: there is no such input" + (f"; {question}" if question else ""))
    if faults:
        takes = "".join(f"\n  {feed.key}: {feed.type}" for feed in feeds) or " nothing"
        raise UsageError(
            f"{doing}:" + "".join(f"\n  {fault}" for fault in faults) + f"\nthe signature takes{takes}",
            hint=f"{argument('inputs')} gives each input by its key",
        )
    return Fed(feeds=tuple(feeds), arrays=arrays, notes=tuple(notes))


def _top(feed: Feed) -> str:
    return feed.part_of.key if feed.part_of else feed.key


def _as_ragged(feeds: Sequence[Feed], given: Given, key: str, value: Any) -> dict[str, Any] | None:
    """The parts of a ragged tensor that is given as lists in lists; None for any other value."""
    own = [feed for feed in feeds if feed.part_of and feed.part_of.key == key and feed.part_of.kind == "ragged"]
    if not own or any(name in given for feed in own for name in (feed.key, feed.alias) if name and name != key):
        return None
    if isinstance(value, Typed):
        value = typed(value, own[0])
    if not isinstance(value, list | tuple):
        return None
    assert own[0].part_of is not None, "that is how they were chosen"
    parts = split_ragged(value, own[0].part_of.ragged_rank)
    return {feed.key: part for feed, part in zip(own, parts, strict=True)}
