"""Types, constants and functions of a graph, written in float64 where they are float32."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from surgery.formats.tensors import to_array
from surgery.graphs.names import unused
from surgery.graphs.op_types import READS

FLOAT, DOUBLE = 1, 2
"""DT_FLOAT and DT_DOUBLE (tensorflow/core/framework/types.proto)."""
HANDLE = "VarHandleOp"
"""The operation that makes a variable's handle. Variables stay float32."""


def one_value(tensor: Any) -> float | None:
    """The value of a float32 TensorProto of one element; None for any other."""
    if tensor.dtype != FLOAT or math.prod(dim.size for dim in tensor.tensor_shape.dim) != 1:
        return None
    value = to_array(tensor)
    assert value is not None, "float32 is a numeric dtype"
    return float(value.reshape(-1)[0])


def is_float(node: Any) -> bool:
    """Whether the values that an operation reads or moves are float32."""
    return any(node.attr[key].type == FLOAT for key in ("dtype", "T", "Tparams") if key in node.attr)


def cast(node: Any, name: str, inputs: Sequence[str]) -> None:
    """Fills an empty NodeDef: a float32 tensor as float64."""
    node.name, node.op = name, "Cast"
    node.input.extend(inputs)
    node.attr["SrcT"].type, node.attr["DstT"].type = FLOAT, DOUBLE


def copy_attributes(written: Any, node: Any, exact: Mapping[float, float]) -> None:
    """Copies an operation's attributes with float64 in place of float32. `exact` are values for scalar constants."""
    for key, value in node.attr.items():
        _copy_widened(written.attr[key], value, exact)


def widen_function(written: Any, function: Any, exact: Mapping[float, float]) -> None:
    """Writes a function in float64. What it reads of variables is widened at once."""
    written.CopyFrom(function)
    for argument in (*written.signature.input_arg, *written.signature.output_arg):
        argument.type = _wide_type(argument.type)
    taken = {node.name for node in function.node_def} | {argument.name for argument in function.signature.input_arg}
    read: dict[str, str] = {}
    for old, node in zip(function.node_def, written.node_def, strict=True):
        if old.op in READS and is_float(old):
            output = f"{old.name}:{READS[old.op]}"
            read[output] = read[f"{output}:0"] = unused(f"{old.name}/widened", taken)
        elif old.op != HANDLE:
            node.ClearField("attr")
            copy_attributes(node, old, exact)
    for node in written.node_def:
        node.input[:] = [_widened(feed, read) for feed in node.input]
    for name, tensor in list(written.ret.items()):
        written.ret[name] = _widened(tensor, read)
    for tensor, name in read.items():
        if tensor.endswith(":0"):
            cast(written.node_def.add(), name, [tensor])


def _widened(tensor: str, read: Mapping[str, str]) -> str:
    return f"{read[tensor]}:y:0" if tensor in read else tensor


def _copy_widened(written: Any, value: Any, exact: Mapping[float, float]) -> None:
    written.CopyFrom(value)
    kind = value.WhichOneof("value")
    if kind == "type":
        written.type = _wide_type(value.type)
    elif kind == "tensor":
        _widen_tensor(written.tensor, value.tensor, exact)
    elif kind == "func":
        _widen_call(written.func, value.func, exact)
    elif kind == "list":
        written.list.type[:] = [_wide_type(number) for number in value.list.type]
        for new, tensor in zip(written.list.tensor, value.list.tensor, strict=True):
            _widen_tensor(new, tensor, exact)
        for new, call in zip(written.list.func, value.list.func, strict=True):
            _widen_call(new, call, exact)


def _widen_call(written: Any, call: Any, exact: Mapping[float, float]) -> None:
    for key, value in call.attr.items():
        _copy_widened(written.attr[key], value, exact)


def _widen_tensor(written: Any, tensor: Any, exact: Mapping[float, float]) -> None:
    """Writes a float32 TensorProto as float64. One value that stands for all elements stays one value."""
    if tensor.dtype != FLOAT:
        return
    written.Clear()
    written.dtype = DOUBLE
    written.tensor_shape.CopyFrom(tensor.tensor_shape)
    content = tensor.tensor_content
    values = list(struct.unpack(f"<{len(content) // 4}f", content)) if content else list(tensor.float_val)
    if (scalar := one_value(tensor)) is not None:
        values = [exact.get(scalar, scalar)]
    if content:
        written.tensor_content = struct.pack(f"<{len(values)}d", *values)
    else:
        written.double_val.extend(values)


def _wide_type(number: int) -> int:
    return DOUBLE if number == FLOAT else number
