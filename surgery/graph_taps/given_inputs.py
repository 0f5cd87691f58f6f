"""Inputs that a caller gives to a signature: arrays of a file, or values by key. Checked before TensorFlow is loaded.

TensorFlow 2 takes a ragged or sparse argument in parts: the signature of a ragged `r` has the inputs `r`, its values,
and `r_1`, its row splits. Each may be given under its own key, or as a part of the whole: `r.values`, `r.row_splits`;
`s.indices`, `s.values`, `s.dense_shape`. A ragged one may also be given as nested lists under the first key alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from surgery.arguments import argument
from surgery.errors import UsageError
from surgery.formats.npz import read_npz
from surgery.graph_taps.made_inputs import MadeBatch
from surgery.module import InspectedModule, SignatureInfo, TensorInfo
from surgery.wording import shape_text

Values = Mapping[str, Any]


class Written(str):
    """A value as text: JSON, or for an input of strings the text itself."""


@dataclass(frozen=True, kw_only=True)
class Given:
    """Inputs that fit a signature.

    Attributes:
        batch: The arrays by input.
        casts: The changes of dtype that were made, one line each.
    """

    batch: MadeBatch
    casts: tuple[str, ...]


def read_inputs(inputs: str | Path | Values, examples: Iterable[str] = ()) -> Values:
    """Values by input, of a file or a mapping, and of `KEY=VALUE` texts. Raises UsageError for a key given twice."""
    values = dict(inputs) if isinstance(inputs, Mapping) else dict(read_npz(Path(inputs)))
    for example in examples:
        key, equals, text = example.partition("=")
        if not equals or not key:
            raise UsageError(f"{argument('examples', example)}: expected KEY=VALUE")
        if key in values:
            raise UsageError(f"{argument('examples', example)}: {key} is given twice")
        values[key] = Written(text)
    return values


def parts_of(module: InspectedModule, signature: str) -> dict[str, dict[str, str]]:
    """The inputs of a signature that are parts of one argument: by the first key, input by the part's name."""
    found: dict[str, dict[str, str]] = {}
    owners: dict[str, str] = {}
    for name in module.input_names:
        whole, dot, part = name.paths[0].rpartition(".")
        if name.signature == signature and dot and part.startswith(PARTS):
            first = owners.setdefault(whole, name.key)
            found.setdefault(first, {})[part] = name.key
    return found


PARTS = ("values", "row_splits", "indices", "dense_shape", "flat_values", "nested_row_splits_")


def bind(signature: SignatureInfo, values: Values, parts: Mapping[str, Mapping[str, str]], label: str) -> Given:
    """The values as arrays of the signature's dtypes.

    A number is cast where nothing but digits can be lost: int64 to int32 if every value fits, float64 to float32.
    Raises UsageError with every fault: inputs that are missing or unknown, other dtypes, shapes that do not fit.
    """
    given, faults, casts, arrays = _by_key(values, parts), list[str](), list[str](), dict[str, np.ndarray]()
    known = {tensor.key: tensor for tensor in signature.inputs}
    for key in known.keys() - given.keys():
        faults.append(f"{key}: it is missing")
    for key in given.keys() - known.keys():
        faults.append(f"{key}: the signature has no such input")
    for key in sorted(known.keys() & given.keys()):
        try:
            arrays[key], cast = _fit(known[key], given[key])
            casts += [cast] if cast else []
        except (ValueError, TypeError, OverflowError) as error:
            faults.append(f"{key}: {error}")
    for first, named in parts.items():
        if "row_splits" in named and set(named.values()) <= arrays.keys():
            faults += _wrong_splits(first, arrays[named["values"]], arrays[named["row_splits"]])
        if "indices" in named and set(named.values()) <= arrays.keys():
            faults += _wrong_indices(first, *(arrays[named[part]] for part in ("indices", "values", "dense_shape")))
    if faults:
        expected = "; ".join(f"{tensor.key} {tensor.type}" for tensor in signature.inputs) or "nothing"
        raise UsageError(
            f"giving {label} to the signature {signature.name}:" + "".join(f"\n  {fault}" for fault in sorted(faults)),
            hint=f"the signature takes {expected}",
        )
    return Given(batch=MadeBatch(label=label, arrays=arrays), casts=tuple(casts))


def _by_key(values: Values, parts: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """The values by the signature's own keys: wholes are taken apart, and parts get the keys of their inputs."""
    found = dict(values)
    for first, named in parts.items():
        whole = found.get(first)
        if isinstance(whole, Written) and not any(key in found for key in named.values() if key != first):
            whole = _parsed(whole)
        if "row_splits" in named and isinstance(whole, list) and named["row_splits"] not in found:
            if all(isinstance(row, list) for row in whole):
                found[first] = [item for row in whole for item in row]
                found[named["row_splits"]] = np.cumsum([0, *map(len, whole)])
        elif "indices" in named and isinstance(whole, Mapping):
            del found[first]
            found.update({named.get(part, f"{first}.{part}"): item for part, item in whole.items()})
        for part, key in named.items():
            if f"{first}.{part}" in found:
                found[key] = found.pop(f"{first}.{part}")
    return found


def _fit(tensor: TensorInfo, value: Any) -> tuple[np.ndarray, str]:
    """The value as an array of the tensor's dtype and shape, and the cast that was made. Raises ValueError."""
    if tensor.dtype == "string":
        array, cast = _strings(value), ""
    else:
        array, cast = _numbers(tensor, _parsed(value) if isinstance(value, Written) else value)
    sizes = tensor.shape
    if sizes is not None and (
        len(sizes) != array.ndim or any(a not in (None, b) for a, b in zip(sizes, array.shape, strict=True))
    ):
        raise ValueError(f"expected the shape {shape_text(sizes)}, found {list(array.shape)}")
    return array, cast


def _strings(value: Any) -> np.ndarray:
    if isinstance(value, Written):
        try:
            parsed = json.loads(value)
        except ValueError:
            parsed = None
        value = parsed if isinstance(parsed, list | str) else str(value)
    array = np.array(value, object)
    flat = [_bytes(item) for item in array.ravel()]
    return np.array([*flat, None], object)[:-1].reshape(array.shape)


def _bytes(item: Any) -> bytes:
    if isinstance(item, str):
        return item.encode("utf-8", "surrogateescape")
    if isinstance(item, bytes):
        return bytes(item)
    if isinstance(item, Mapping):
        return serialized_example(item)
    raise ValueError(f"expected strings, found {type(item).__name__}")


def serialized_example(features: Mapping[str, Any]) -> bytes:
    """A tf.train.Example, serialized, of a list of numbers or of strings by feature."""
    from surgery.formats.examples import Example

    example = Example()
    for name, items in features.items():
        feature = example.features.feature[name]
        listed = items if isinstance(items, Sequence) and not isinstance(items, str | bytes) else [items]
        if all(isinstance(item, str | bytes) for item in listed):
            feature.bytes_list.value.extend([_bytes(item) for item in listed])
        elif all(isinstance(item, int) for item in listed):
            feature.int64_list.value.extend(listed)
        elif all(isinstance(item, int | float) for item in listed):
            feature.float_list.value.extend(listed)
        else:
            raise ValueError(f"the feature {name} has neither numbers nor strings alone")
    return bytes(example.SerializeToString(deterministic=True))


def _numbers(tensor: TensorInfo, value: Any) -> tuple[np.ndarray, str]:
    # numpy knows no bfloat16; TensorFlow rounds to it.
    wanted = np.dtype("float32" if tensor.dtype == "bfloat16" else tensor.dtype)
    array = np.asarray(value)
    if array.size == 0 and not isinstance(value, np.ndarray):
        array = array.astype(wanted)
    if array.dtype.kind not in "biufc":
        raise ValueError(f"expected {tensor.dtype}, found {array.dtype}")
    if array.dtype == wanted:
        return array, ""
    if array.dtype.kind not in {"b": "b", "i": "biu", "u": "biu", "f": "biuf", "c": "biufc"}[wanted.kind]:
        raise ValueError(f"expected {tensor.dtype}, found {array.dtype}, which is not cast")
    with np.errstate(over="ignore", invalid="ignore"):
        cast = array.astype(wanted)
    exact = array.dtype.kind in "biu"
    if (exact and not np.array_equal(cast.astype(array.dtype), array)) or (
        exact and wanted.kind == "u" and (array < 0).any()
    ):
        raise ValueError(f"expected {tensor.dtype}, found {array.dtype} with values that it cannot hold")
    if not exact and not np.array_equal(np.isfinite(cast), np.isfinite(array)):
        raise ValueError(f"expected {tensor.dtype}, found {array.dtype} with values that are too large for it")
    said = isinstance(value, np.ndarray)
    return cast, f"{tensor.key}: cast from {array.dtype} to {tensor.dtype}" if said else ""


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f"expected JSON, such as [[1, 2], [3, 4]]: {error}") from error


def _wrong_splits(key: str, values: np.ndarray, splits: np.ndarray) -> list[str]:
    if splits.size and splits[0] == 0 and (np.diff(splits) >= 0).all() and splits[-1] == len(values):
        return []
    return [f"{key}: its row splits must begin with 0, never fall, and end with the number of values, {len(values)}"]


def _wrong_indices(key: str, indices: np.ndarray, values: np.ndarray, shape: np.ndarray) -> list[str]:
    if indices.shape == (len(values), len(shape)) and (indices >= 0).all() and (indices < shape).all():
        return []
    return [f"{key}: expected one index below dense_shape for each of its {len(values)} values"]
