"""Arguments and results of a saved function: StructuredValue messages (struct.proto) as nested Python data."""

from __future__ import annotations

from typing import Any

from surgery.formats.tensors import dtype_name, shape_of
from surgery.module import Structure, TensorInfo


def structure(value: Any) -> Structure:
    """A StructuredValue as nested Python data. A TensorSpec becomes a TensorInfo with the spec's name as its key."""
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
    if kind == "none_value" or kind is None:
        return None
    plain = getattr(value, kind)
    return plain if isinstance(plain, bool | int | float | str) else kind.removesuffix("_value")


def argument_names(function_spec: Any) -> tuple[str, ...]:
    """Names of the positional arguments of a saved function, without `self`."""
    spec = structure(function_spec.fullargspec)
    if not isinstance(spec, dict):
        return ()
    names = tuple(spec.get("args") or ())
    return names[1:] if function_spec.is_method and names[:1] == ("self",) else names
