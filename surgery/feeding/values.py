"""One value that a caller gives, as an array of the dtype and shape that a signature expects.

An array is taken as it is, or cast where no value changes, which is said. A list or number that was typed is taken as
the expected dtype, as in any Python program: 0.1 is rounded to float32.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from surgery.feeding.feeds import Feed
from surgery.formats.checkpoint_values import numpy_dtype
from surgery.formats.example import serialized_example
from surgery.formats.tensors import Shape
from surgery.wording import shape_text

KINDS = ("int", "float", "complex")
"""Numbers can be cast from left to right."""


class Typed(str):
    """A value typed on a command line: JSON, or a bare text."""


class Misfit(Exception):
    """A value does not fit. The message says what was found, and what can be done."""


def fitted(value: Any, feed: Feed) -> tuple[np.ndarray, str]:
    """The array to feed, and a note if it was cast. Raises Misfit."""
    if feed.tensor is None or (feed.dtype != "string" and _kind(feed.dtype) is None):
        raise Misfit("for which no value can be given")
    if isinstance(value, Typed):
        value = typed(value, feed)
    if not hasattr(value, "dtype") and not hasattr(value, "__array__"):
        array, note = _literal(value, feed), ""
    else:
        array, note = _cast(np.asarray(value), feed)
    if not _fits(array.shape, feed.shape):
        found = _named(np.asarray(value)) if note else _named(array)
        raise Misfit(f"found {found} {shape_text(array.shape)}{_missing_axis(array.shape, feed.shape)}")
    return array, note


def as_array(value: Any) -> np.ndarray:
    """What TensorFlow returns for a tensor as an array: a scalar string comes as bare bytes."""
    return np.array(value, object) if isinstance(value, bytes) else np.asarray(value)


def typed(text: Typed, feed: Feed) -> Any:
    """The Python value of a text. A text that is no JSON is itself where the signature takes strings."""
    try:
        value = json.loads(text)
    except RecursionError:
        raise Misfit("found lists nested too deeply") from None
    except ValueError:
        if feed.dtype == "string":
            return str(text)
        raise Misfit(f"found {str(text)[:60]!r}, which is no JSON: give a number or lists of numbers") from None
    if feed.dtype == "string" and not isinstance(value, str | list | dict):
        return str(text)  # 42 and true are texts, too
    return value


def split_ragged(value: Any, ragged_rank: int) -> list[Any]:
    """The parts of a ragged tensor given as lists in lists: its values, then the splits of each ragged axis.

    Raises Misfit for a value that has too few axes.
    """
    splits: list[list[int]] = []
    values = value
    for _ in range(ragged_rank):
        if not isinstance(values, list | tuple) or not all(isinstance(row, list | tuple) for row in values):
            raise Misfit(f"expected lists in lists, {ragged_rank + 1} deep")
        ends = [0]
        for row in values:
            ends.append(ends[-1] + len(row))
        splits.append(ends)
        values = [item for row in values for item in row]
    return [values, *splits]


def _literal(value: Any, feed: Feed) -> np.ndarray:
    if feed.dtype == "string":
        return _strings(value)
    try:
        array = np.asarray(value)
    except ValueError:
        raise Misfit("found lists of unequal length") from None
    if array.size == 0:
        return array.astype(numpy_dtype(feed.dtype))
    found, expected = _kind(array.dtype.name), _kind(feed.dtype)
    if found is None or not _castable(found, expected):
        raise Misfit(f"found {_sample(value)}")
    target = numpy_dtype(feed.dtype)
    with np.errstate(all="ignore"):
        cast = array.astype(target)
    if found == "float" and expected in KINDS[1:]:
        if np.array_equal(np.isfinite(array), np.isfinite(cast)):
            return cast  # 0.1 is rounded
    elif _same(array, cast):
        return cast
    raise Misfit(f"found {_sample(value)}, which {feed.dtype} cannot hold")


def _cast(array: np.ndarray, feed: Feed) -> tuple[np.ndarray, str]:
    if feed.dtype == "string":
        if array.dtype.kind not in "SUO":
            raise Misfit(f"found {_named(array)} {shape_text(array.shape)}")
        return _strings(array.tolist(), array.shape), ""
    target = numpy_dtype(feed.dtype)
    if array.dtype == target:
        return array, ""
    found, expected = _kind(array.dtype.name), _kind(feed.dtype)
    shown = f"found {_named(array)} {shape_text(array.shape)}"
    if found is None or not _castable(found, expected):
        raise Misfit(shown)
    with np.errstate(all="ignore"):
        cast = array.astype(target)
    if not _same(array, cast):
        raise Misfit(f"{shown}, with values that {feed.dtype} cannot hold: cast it by .astype({feed.dtype!r})")
    return cast, f"{feed.key}: cast from {array.dtype.name} to {feed.dtype}, with the same values"


def _strings(value: Any, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Texts as bytes in UTF-8, in an array of dtype object. A mapping is a tf.train.Example."""
    if shape is None:
        shape = tuple(_sizes(value))
    try:
        array = np.empty(shape, object)
    except ValueError:
        raise Misfit(f"found lists in lists, {len(shape)} deep") from None
    for index in np.ndindex(shape):
        item = value
        for axis, place in enumerate(index):
            if not isinstance(item, list | tuple) or len(item) != shape[axis]:
                raise Misfit("found lists of unequal length")
            item = item[place]
        array[index] = _bytes(item)
    return array


def _sizes(value: Any) -> Iterator[int]:
    """The lengths of lists in lists, of the first one at each depth."""
    while isinstance(value, list | tuple):
        yield len(value)
        value = value[0] if value else None


def _bytes(item: Any) -> bytes:
    if isinstance(item, Mapping):
        try:
            return serialized_example(item)
        except (ValueError, TypeError) as error:
            raise Misfit(f"making a tf.train.Example: {error}") from None
    if isinstance(item, str):
        try:
            return item.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise Misfit(f"found {_sample(item)}, half of a pair of surrogates, which is no text") from None
    if isinstance(item, bytes):
        return bytes(item)
    raise Misfit("found lists of unequal length" if isinstance(item, list | tuple) else f"found {_sample(item)}")


def _same(array: np.ndarray, cast: np.ndarray) -> bool:
    """Whether a cast has changed no value. NaN equals NaN."""
    with np.errstate(all="ignore"):
        back = (cast if array.dtype.kind == "c" else cast.real).astype(array.dtype)
    if _kind(array.dtype.name) != "int":
        return np.array_equal(back, array, equal_nan=True) if array.dtype.kind != "V" else _same_wide(array, back)
    # A negative number comes back from an unsigned dtype as it was.
    return np.array_equal(back, array) and np.array_equal(cast < 0, array < 0)


def _same_wide(array: np.ndarray, back: np.ndarray) -> bool:
    return np.array_equal(back.astype("float32"), array.astype("float32"), equal_nan=True)


def _kind(dtype: str) -> str | None:
    if dtype == "bool":
        return "bool"
    if dtype.startswith(("int", "uint")):
        return "int"
    if dtype.startswith(("float", "bfloat")):
        return "float"
    return "complex" if dtype.startswith("complex") else None


def _castable(found: str, expected: str | None) -> bool:
    if "bool" in (found, expected) or expected is None:
        return found == expected
    return KINDS.index(found) <= KINDS.index(expected)


def _fits(shape: tuple[int, ...], expected: Shape | None) -> bool:
    return expected is None or (
        len(shape) == len(expected) and all(b in (None, a) for a, b in zip(shape, expected, strict=True))
    )


def _missing_axis(shape: tuple[int, ...], expected: Shape | None) -> str:
    """What to say of a value without its first axis, which is usually the batch."""
    if expected and expected[0] is None and _fits((1, *shape), expected):
        return ": put it into a list of its own, a batch of one"
    return ""


def _named(array: np.ndarray) -> str:
    return {"S": "string", "U": "string", "O": "objects" if not _all_strings(array) else "string"}.get(
        array.dtype.kind, array.dtype.name
    )


def _all_strings(array: np.ndarray) -> bool:
    return all(isinstance(item, str | bytes) for item in array.flat)


def _sample(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
