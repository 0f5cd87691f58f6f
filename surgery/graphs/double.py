"""A graph in double precision: the same function, with rounding errors that are a billion times smaller.

Every float32 type becomes float64, and every constant is widened exactly. Variables keep their float32 bits, so that
memory does not double: a value is widened where it is computed with, behind the operations that only move it. Each
widening waits for the other operand of its operation, or all of a model's weights would be widened before any is used.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from surgery.formats.tensors import to_array

FLOAT, DOUBLE = 1, 2
"""DT_FLOAT and DT_DOUBLE (tensorflow/core/framework/types.proto)."""
READS = {"ReadVariableOp": "value", "ResourceGather": "output", "ResourceGatherNd": "output"}
"""Operations that read a variable's handle, and the name of their output."""
MOVES = frozenset(
    {
        "ExpandDims",
        "Gather",
        "GatherNd",
        "GatherV2",
        "Identity",
        "Reshape",
        "Slice",
        "Squeeze",
        "StridedSlice",
        "Transpose",
    }
)
"""Operations that only choose and arrange elements of their first input."""


@dataclass(frozen=True, kw_only=True)
class Double:
    """A graph in double precision.

    Attributes:
        graph_def: The GraphDef. Its free names are those of the float32 graph, with their dtypes.
        tensors: The name of each output's tensor, float64, by the output's name.
        lacking: The types of operations without a kernel for float64 behind each output that is left out for them.
    """

    graph_def: Any
    tensors: Mapping[str, str]
    lacking: Mapping[str, tuple[str, ...]]


def in_double(
    graph_def: Any,
    tensors: Mapping[str, str],
    narrow: Iterable[str] = (),
    exact: Mapping[float, float] | None = None,
    has_kernel: Callable[[Any], bool] = lambda node: True,
) -> Double:
    """Re-types a graph to double precision.

    Args:
        graph_def: A GraphDef without calls, in which each operation stands after those that feed it.
        tensors: The name of the tensor behind each output, by the output's name.
        narrow: Free names that stand for float32 tensors, not for handles of variables.
        exact: What to put in place of scalar constants, by their float32 value.
        has_kernel: Whether an operation, as it is written, can be run.
    """
    widening = _Widening(type(graph_def)(), {f"{name}:0" for name in narrow}, exact or {})
    widening.graph_def.versions.CopyFrom(graph_def.versions)
    for node in graph_def.node:
        widening.add(node)
    for function in graph_def.library.function:
        _widen_function(widening.graph_def.library.function.add(), function, exact or {})
    wide = {name: widening.wide(tensor, f"output_{number}") for number, (name, tensor) in enumerate(tensors.items())}
    missing = _missing(widening.graph_def, has_kernel)
    lacking = {name: missing[_owner(tensor)] for name, tensor in wide.items() if missing.get(_owner(tensor))}
    kept = {name: tensor for name, tensor in wide.items() if name not in lacking}
    prune(widening.graph_def, kept.values())
    return Double(graph_def=widening.graph_def, tensors=kept, lacking=lacking)


def scalars(graph_def: Any) -> tuple[float, ...]:
    """The float32 constants of one element, in order of first use."""
    found: dict[float, None] = {}
    for node in [*graph_def.node, *(node for function in graph_def.library.function for node in function.node_def)]:
        if node.op == "Const" and node.attr["value"].tensor.dtype == FLOAT:
            tensor = node.attr["value"].tensor
            if math.prod(dim.size for dim in tensor.tensor_shape.dim) == 1:
                value = to_array(tensor)
                assert value is not None, "float32 is a numeric dtype"
                found[float(value.reshape(-1)[0])] = None
    return tuple(found)


class _Widening:
    """The graph that is written, and the names of its tensors that still are float32."""

    def __init__(self, graph_def: Any, narrow: set[str], exact: Mapping[float, float]) -> None:
        self.graph_def, self._narrow, self._exact = graph_def, narrow, exact
        self._computed: set[str] = set()

    def add(self, node: Any) -> None:
        """Writes an operation that stands after those that feed it."""
        inputs = list(node.input)
        moved = node.op in MOVES and inputs[0] in self._narrow
        if node.op in READS or moved:
            written = self.graph_def.node.add()
            written.CopyFrom(node)
            if _is_float(node):
                self._narrow.add(f"{node.name}:0")
            return
        later = [feed for feed in inputs if _owner(feed) in self._computed]
        wide = [self.wide(feed, f"{node.name}/{position}", later[:1]) for position, feed in enumerate(inputs)]
        written = self.graph_def.node.add(name=node.name, op=node.op, input=wide)
        _copy_attributes(written, node, self._exact)
        if inputs:
            self._computed.add(node.name)

    def wide(self, tensor: str, place: str, after: Sequence[str] = ()) -> str:
        """The tensor in float64, widened at `place` when the tensors `after` are there."""
        if tensor not in self._narrow:
            return tensor
        name = f"{place}/widened"
        node = self.graph_def.node.add(name=name, op="Cast", input=[tensor, *(f"^{_owner(feed)}" for feed in after)])
        node.attr["SrcT"].type, node.attr["DstT"].type = FLOAT, DOUBLE
        return f"{name}:0"


def _widen_function(written: Any, function: Any, exact: Mapping[float, float]) -> None:
    """Writes a function in float64. What it reads of variables is widened at once."""
    written.CopyFrom(function)
    for argument in (*written.signature.input_arg, *written.signature.output_arg):
        argument.type = _wide_type(argument.type)
    read: dict[str, str] = {}
    for old, node in zip(function.node_def, written.node_def, strict=True):
        if old.op in READS and _is_float(old):
            read[f"{old.name}:{READS[old.op]}:0"] = f"{old.name}/widened:y:0"
        else:
            node.ClearField("attr")
            _copy_attributes(node, old, exact)
    for node in written.node_def:
        node.input[:] = [read.get(feed, feed) for feed in node.input]
    for name, tensor in list(written.ret.items()):
        written.ret[name] = read.get(tensor, tensor)
    for tensor, wide in read.items():
        node = written.node_def.add(name=_owner(wide), op="Cast", input=[tensor])
        node.attr["SrcT"].type, node.attr["DstT"].type = FLOAT, DOUBLE


def _copy_attributes(written: Any, node: Any, exact: Mapping[float, float]) -> None:
    for key, value in node.attr.items():
        _copy_widened(written.attr[key], value, exact)


def _copy_widened(written: Any, value: Any, exact: Mapping[float, float]) -> None:
    """Copies an attribute's value with float64 in place of float32."""
    written.CopyFrom(value)
    kind = value.WhichOneof("value")
    if kind == "type":
        written.type = _wide_type(value.type)
    elif kind == "list":
        written.list.type[:] = [_wide_type(number) for number in value.list.type]
    elif kind == "tensor" and value.tensor.dtype == FLOAT:
        _widen_tensor(written.tensor, value.tensor, exact)
    elif kind == "func":
        for key, inner in value.func.attr.items():
            _copy_widened(written.func.attr[key], inner, exact)


def _widen_tensor(written: Any, tensor: Any, exact: Mapping[float, float]) -> None:
    """Writes a float32 TensorProto as float64. One value that stands for all elements stays one value."""
    written.Clear()
    written.dtype = DOUBLE
    written.tensor_shape.CopyFrom(tensor.tensor_shape)
    content = tensor.tensor_content
    values = list(struct.unpack(f"<{len(content) // 4}f", content)) if content else list(tensor.float_val)
    if len(values) == 1:
        values = [exact.get(values[0], values[0])]
    if content:
        written.tensor_content = struct.pack(f"<{len(values)}d", *values)
    else:
        written.double_val.extend(values)


def _wide_type(number: int) -> int:
    return DOUBLE if number == FLOAT else number


def _is_float(node: Any) -> bool:
    return any(node.attr[key].type == FLOAT for key in ("dtype", "T", "Tparams") if key in node.attr)


def _missing(graph_def: Any, has_kernel: Callable[[Any], bool]) -> dict[str, tuple[str, ...]]:
    """For each operation that cannot be run in float64, the types that lack a kernel, itself or behind it."""
    missing: dict[str, tuple[str, ...]] = {}
    for node in graph_def.node:
        behind = {op for feed in node.input for op in missing.get(_owner(feed), ())}
        if not has_kernel(node):
            behind.add(node.op)
        if behind:
            missing[node.name] = tuple(sorted(behind))
    return missing


def prune(graph_def: Any, tensors: Iterable[str]) -> None:
    """Removes all operations that are not needed for these tensors."""
    nodes = {node.name: node for node in graph_def.node}
    needed: set[str] = set()
    stack = [_owner(tensor) for tensor in tensors]
    while stack:
        name = stack.pop()
        if name in nodes and name not in needed:
            needed.add(name)
            stack.extend(_owner(feed) for feed in nodes[name].input)
    if len(needed) < len(nodes):
        kept = [node for node in graph_def.node if node.name in needed]
        del graph_def.node[:]
        graph_def.node.extend(kept)


def _owner(tensor: str) -> str:
    return tensor.removeprefix("^").partition(":")[0]
