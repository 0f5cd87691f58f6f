"""Arrow columns of a signature's outputs: nested lists, in which a free axis is as long as the text of its row."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from surgery.formats.tensors import Shape
from surgery.module import TensorInfo

Arrays = Mapping[str, np.ndarray]


def column_type(tensor: TensorInfo) -> Any:
    """The type of one row's value: for a tensor [batch, seq, 768] a list of fixed-size lists of 768.

    Raises ValueError for a tensor of unknown rank, or of a dtype that Arrow lacks.
    """
    if tensor.shape is None:
        raise ValueError("its rank is not known")
    if tensor.dtype == "string":
        kind = pa.large_binary()
    else:
        try:
            kind = pa.from_numpy_dtype(np.dtype("float32" if tensor.dtype == "bfloat16" else tensor.dtype))
        except (TypeError, pa.ArrowException) as error:
            raise ValueError(f"Arrow has no {tensor.dtype}") from error
    for size in reversed(tensor.shape[1:]):
        kind = pa.list_(kind) if size is None else pa.list_(kind, size)
    return kind


def column(rows: Sequence[np.ndarray], shape: Shape, kind: Any) -> Any:
    """The values of one output, one per row. `shape` lacks the batch axis; `kind` is the type from `column_type`."""
    flat: Any = kind
    for _ in shape:
        flat = flat.value_type
    if pa.types.is_large_binary(flat):
        values = pa.array([value for row in rows for value in np.asarray(row).ravel().tolist()], flat)
    else:
        parts = [np.ascontiguousarray(row).reshape(-1) for row in rows]
        joined = np.concatenate(parts) if parts else np.zeros(0)
        values = pa.array(joined.astype(flat.to_pandas_dtype(), copy=False), flat)
    for axis in reversed(range(len(shape))):
        size = shape[axis]
        if size is not None:
            values = pa.FixedSizeListArray.from_arrays(values, size)
            continue
        sizes = np.repeat([row.shape[axis] for row in rows], [math.prod(row.shape[:axis]) for row in rows])
        offsets = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int32)
        values = pa.ListArray.from_arrays(pa.array(offsets), values)
    return values
