"""The values that a caller gives for a signature, each checked against what the signature takes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
        casts: One line for each value that was cast.
    """

    feeds: tuple[Feed, ...]
    arrays: Mapping[str, np.ndarray]
    casts: tuple[str, ...]

    @property
    def label(self) -> str:
        """The shape of each input, for messages."""
        return ", ".join(f"{key} {shape_text(array.shape)}" for key, array in self.arrays.items()) or "no inputs"


def read_given(inputs: Any, examples: Iterable[str] = ()) -> dict[str, Any]:
    """Inputs by key, of a mapping or an `.npz` file, and of texts `KEY=VALUE`.

    Raises UsageError for an input that is given twice and for a text without a key, and else as surgery.formats.npz.
    """
    if isinstance(inputs, Mapping):
        given = dict(inputs)
    else:
        from surgery.formats.npz import read_npz

        given = {**read_npz(Path(inputs))}
    for example in examples:
        key, equals, text = example.partition("=")
        if not equals or not key:
            raise UsageError(
                f"{argument('examples', example)}: expected KEY=VALUE", hint="VALUE is a text, a number, or JSON"
            )
        if key in given:
            raise UsageError(f"{argument('examples', example)}: {key} is given already", hint="give each input once")
        given[key] = Typed(text)
    return given


def fit(feeds: Sequence[Feed], given: Given, doing: str) -> Fed:
    """Checks given inputs against the tensors that a signature takes.

    Raises UsageError with every fault: inputs that are missing, unknown or given twice, values of another dtype or
    shape, parts that do not fit one another. It lists all that the signature takes.

    Args:
        feeds: What the signature takes.
        given: What the caller gives.
        doing: The beginning of the error.
    """
    faults: list[str] = []
    values = _by_feed(feeds, given, faults)
    arrays: dict[str, np.ndarray] = {}
    casts: list[str] = []
    for feed in feeds:
        if feed.key not in values:
            if not any(fault.startswith(f"{feed.whole}: ") for fault in faults):
                faults.append(f"{feed.key}: it is missing")
            continue
        try:
            arrays[feed.key], cast = fitted(values[feed.key], feed)
            casts += [cast] if cast else []
        except Misfit as misfit:
            faults.append(f"{feed.key}: expected {feed.dtype} {shape_text(feed.shape)}, {misfit}")
    faults += _wrong_parts(feeds, arrays)
    if faults:
        takes = "".join(f"\n  {feed.key}: {feed.type}" for feed in feeds) or " nothing"
        raise UsageError(
            f"{doing}:" + "".join(f"\n  {fault}" for fault in faults) + f"\nthe signature takes{takes}",
            hint=f"{argument('inputs')} gives each input by its key",
        )
    return Fed(feeds=tuple(feeds), arrays=arrays, casts=tuple(casts))


def _by_feed(feeds: Sequence[Feed], given: Given, faults: list[str]) -> dict[str, Any]:
    """The given values by the keys of the feeds. Values without a feed, or with one that has a value, are faults."""
    names = {feed.alias: feed for feed in feeds if feed.alias} | {feed.key: feed for feed in feeds}
    values: dict[str, Any] = {}
    unknown = []
    for key, value in given.items():
        try:
            parts = _parts(feeds, given, key, value)
        except Misfit as misfit:
            faults.append(f"{key}: {misfit}")
            continue
        if parts is None and key not in names:
            unknown.append(key)
            continue
        for name, part in parts.items() if parts is not None else [(key, value)]:
            if names[name].key in values:
                faults.append(f"{key}: {name} is given already")
            values[names[name].key] = part
    missing = [feed.alias or feed.key for feed in feeds if feed.key not in values]
    for key in unknown:
        question = did_you_mean(difflib.get_close_matches(key, missing or list(names), n=2))
        faults.append(f"{key}: there is no such input" + (f"; {question}" if question else ""))
    return values


def _parts(feeds: Sequence[Feed], given: Given, key: str, value: Any) -> dict[str, Any] | None:
    """The parts of a ragged or sparse tensor that is given as a whole; None for any other value.

    A ragged one is given as lists in lists, or either by a mapping of its parts.
    """
    own = [feed for feed in feeds if feed.part_of and feed.part_of.key == key]
    if not own or any(name in given for feed in own for name in (feed.key, feed.alias) if name and name != key):
        return None
    if isinstance(value, Typed):
        value = typed(value, own[0])
    if isinstance(value, Mapping):
        return {f"{key}.{part}": item for part, item in value.items() if _is_part(own, f"{key}.{part}")}
    composite = own[0].part_of
    if composite is None or composite.kind != "ragged" or not isinstance(value, list | tuple):
        return None
    parts = split_ragged(value, composite.parts - 1)
    return {feed.key: part for feed, part in zip(own, parts, strict=True)}


def _is_part(feeds: Sequence[Feed], name: str) -> bool:
    names = [feed.alias or feed.key for feed in feeds]
    if name not in names:
        raise Misfit(f"expected its parts, {', '.join(names)}, found {name}")
    return True


def _wrong_parts(feeds: Sequence[Feed], arrays: Mapping[str, np.ndarray]) -> Iterator[str]:
    """One line for each ragged or sparse tensor whose parts are no tensor together: TensorFlow checks only some."""
    for key, kind in dict.fromkeys((feed.part_of.key, feed.part_of.kind) for feed in feeds if feed.part_of):
        own = [feed for feed in feeds if feed.part_of and feed.part_of.key == key]
        if not all(feed.key in arrays for feed in own):
            continue
        parts = [arrays[feed.key] for feed in own]
        if not all(part.ndim for part in parts):  # a signature may leave the rank of its parts open
            yield f"{key}: expected lists, found a part that is one value"
        elif kind == "ragged":
            lengths = [*(len(splits) - 1 for splits in parts[2:]), len(parts[0])]
            for feed, splits, length in zip(own[1:], parts[1:], lengths, strict=True):
                if not splits.size or splits[0] != 0 or (np.diff(splits) < 0).any() or splits[-1] != length:
                    yield f"{feed.alias or feed.key}: row splits begin with 0, never fall, and end with {length} here"
        elif kind == "sparse":
            indices, values, shape = parts
            if indices.shape != (len(values), len(shape)) or (indices < 0).any() or (indices >= shape).any():
                yield f"{key}: expected one index within its dense_shape for each of its {len(values)} values"
