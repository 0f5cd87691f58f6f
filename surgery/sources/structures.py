"""Arguments and results of a saved function: StructuredValue messages (struct.proto) as nested Python data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from surgery.formats.tensors import Shape, dtype_name, shape_of
from surgery.module import Structure, TensorInfo

Part = tuple[str, str, Shape | None]
"""Name, dtype and shape of a part of a tensor."""


def structure(value: Any) -> Structure:
    """A StructuredValue as nested Python data.

    A TensorSpec becomes a TensorInfo with the name of the spec as its key. So does a ragged or sparse one, which
    has no name. Any other spec becomes the name of its class.
    """
    kind = value.WhichOneof("kind")
    if kind == "list_value":
        return [structure(item) for item in value.list_value.values]
    if kind == "tuple_value":
        return tuple(structure(item) for item in value.tuple_value.values)
    if kind == "named_tuple_value":
        return {pair.key: structure(pair.value) for pair in value.named_tuple_value.values}
    if kind == "dict_value":
        fields = value.dict_value.fields  # the order of a protobuf map's keys differs from process to process
        return {key: structure(fields[key]) for key in sorted(fields)}
    if kind in ("tensor_spec_value", "bounded_tensor_spec_value"):
        spec = getattr(value, kind)
        return TensorInfo(key=spec.name, dtype=dtype_name(spec.dtype), shape=shape_of(spec.shape))
    if kind == "type_spec_value":
        spec = value.type_spec_value
        return ragged_or_sparse("", spec) or spec.type_spec_class_name or kind
    if kind == "tensor_shape_value":
        return shape_of(value.tensor_shape_value)
    if kind == "tensor_dtype_value":
        return dtype_name(value.tensor_dtype_value)
    if kind == "none_value" or kind is None:
        return None
    plain = getattr(value, kind)
    return plain if isinstance(plain, bool | int | float | str) else kind.removesuffix("_value")


def ragged_or_sparse(key: str, spec: Any, names: Sequence[str | None] = ()) -> TensorInfo | None:
    """A TypeSpecProto as a tensor with its parts; None for the spec of anything but a ragged or a sparse tensor.

    `names` are the parts' names in a graph, in TensorFlow's order.
    """
    kind = spec.TypeSpecClass.Name(spec.type_spec_class)
    if kind not in _READERS:
        return None
    name, read = _READERS[kind]
    shape, dtype, *more = structure(spec.type_state)
    parts = [TensorInfo(key=part, dtype=of, shape=sizes) for part, of, sizes in read(shape, dtype, *more)]
    if names:
        parts = [replace(part, name=given) for part, given in zip(parts, names, strict=True)]
    return TensorInfo(key=key, dtype=dtype, shape=shape, kind=name, parts=tuple(parts))


def sparse_parts(shape: Shape | None, dtype: str) -> list[Part]:
    """The parts of a SparseTensor."""
    rank = None if shape is None else len(shape)
    return [("indices", "int64", (None, rank)), ("values", dtype, (None,)), ("dense_shape", "int64", (rank,))]


def _ragged_parts(shape: Shape | None, dtype: str, rank: int, splits: str, *_: Any) -> list[Part]:
    """The parts of a RaggedTensor with `rank` ragged axes: one list of values, and the splits of each ragged axis."""
    if rank == 0:
        return [("values", dtype, shape)]
    values = None if shape is None else (None, *shape[rank + 1 :])
    rows = None if not shape or shape[0] is None else shape[0] + 1
    if rank == 1:
        return [("values", dtype, values), ("row_splits", splits, (rows,))]
    nested: list[Part] = [(f"nested_row_splits_{axis}", splits, (None if axis else rows,)) for axis in range(rank)]
    return [("flat_values", dtype, values), *nested]


_READERS: dict[str, tuple[str, Callable[..., list[Part]]]] = {
    "SPARSE_TENSOR_SPEC": ("sparse", sparse_parts),
    "RAGGED_TENSOR_SPEC": ("ragged", _ragged_parts),
}


def argument_names(function_spec: Any) -> tuple[str, ...]:
    """Names of the positional arguments of a saved function, without `self`."""
    spec = structure(function_spec.fullargspec)
    if not isinstance(spec, dict):
        return ()
    names = tuple(spec.get("args") or ())
    return names[1:] if function_spec.is_method and names[:1] == ("self",) else names
