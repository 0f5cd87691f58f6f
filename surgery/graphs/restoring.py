"""Restores variables without the module's own restore operation, which could do anything.

A saver's graph is read as data: which variable or table takes which tensor of the checkpoint. The same is then done by
operations that are made here, in a standard shape, and the meta graph's saver names those.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tensorboard.compat.proto import types_pb2

from surgery.errors import ModuleError
from surgery.graphs.calls import CALLS
from surgery.graphs.functions import functions_of
from surgery.graphs.names import unused
from surgery.graphs.reach import owner

TAKES = frozenset({"Assign", "AssignVariableOp", "LookupTableImport", "LookupTableImportV2"})
"""Operations that put values into the variable or table of their first input."""
PASSES = frozenset({"Identity", "Reshape"})
"""Operations between a tensor of the checkpoint and the variable that takes it."""
SCOPE = "surgery_restore"


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A tensor of a checkpoint, as an operation reads it.

    Attributes:
        key: Its key.
        part: The part of a partitioned tensor as RestoreV2 writes it; empty for the whole.
        dtype: The number of its dtype.
    """

    key: bytes
    part: bytes
    dtype: int


@dataclass(frozen=True, kw_only=True)
class Taking:
    """An operation that puts tensors of the checkpoint into a variable or table.

    Attributes:
        node: The operation.
        holder: The tensor of the variable or table, in the graph itself.
        values: The tensors that it takes.
    """

    node: Any
    holder: str
    values: tuple[Stored, ...]


def restored_by_us(meta_graph: Any) -> Any:
    """A copy of a meta graph whose saver names operations of ours; without a saver, just a copy.

    Raises ModuleError where the saver's graph does not show what it puts where.
    """
    own = type(meta_graph)()
    own.CopyFrom(meta_graph)
    if not meta_graph.saver_def.restore_op_name:
        return own
    takings = list(_Saver(meta_graph).takings())
    taken = {node.name for node in own.graph_def.node}
    names = {name: unused(f"{SCOPE}/{name}", taken) for name in ("prefix", "keys", "parts", "read", "all")}
    nodes = own.graph_def.node
    prefix = nodes.add(name=names["prefix"], op="Placeholder")
    prefix.attr["dtype"].type = types_pb2.DT_STRING
    prefix.attr["shape"].shape.SetInParent()
    stored = [value for taking in takings for value in taking.values]
    if stored:
        _add_strings(nodes, names["keys"], [value.key for value in stored])
        _add_strings(nodes, names["parts"], [value.part for value in stored])
        read = nodes.add(name=names["read"], op="RestoreV2", input=[names["prefix"], names["keys"], names["parts"]])
        read.attr["dtypes"].list.type.extend(value.dtype for value in stored)
    everything = nodes.add(name=names["all"], op="NoOp")
    number = 0
    for taking in takings:
        name = unused(f"{SCOPE}/{owner(taking.holder)}", taken)
        node = nodes.add(name=name, op=taking.node.op, input=[taking.holder])
        for _ in taking.values:
            node.input.append(f"{names['read']}:{number}")
            number += 1
        for key, value in taking.node.attr.items():
            if not key.startswith("_"):
                node.attr[key].CopyFrom(value)
        everything.input.append(f"^{name}")
    own.saver_def.filename_tensor_name = own.saver_def.save_tensor_name = f"{names['prefix']}:0"
    own.saver_def.restore_op_name = names["all"]
    return own


def _add_strings(nodes: Any, name: str, values: list[bytes]) -> None:
    node = nodes.add(name=name, op="Const")
    tensor = node.attr["value"].tensor
    node.attr["dtype"].type = tensor.dtype = types_pb2.DT_STRING
    tensor.tensor_shape.dim.add(size=len(values))
    tensor.string_val.extend(values)


class _Saver:
    """The restore operation of a meta graph, read as data."""

    def __init__(self, meta_graph: Any) -> None:
        self._restore = meta_graph.saver_def.restore_op_name
        self._nodes = {node.name: node for node in meta_graph.graph_def.node}
        self._functions = functions_of(meta_graph.graph_def)

    def takings(self) -> Iterator[Taking]:
        """Every operation that the restore operation waits for and that takes tensors of the checkpoint."""
        seen: set[str] = set()
        stack = [owner(self._restore)]
        while stack:
            name = stack.pop()
            if name in seen or name not in self._nodes:
                continue
            seen.add(name)
            node = self._nodes[name]
            if node.op in TAKES:
                yield self._taking(node, self._nodes, node.input[0])
            else:
                if node.op in CALLS:
                    yield from self._of_call(node)
                stack += [owner(feed) for feed in node.input]

    def _of_call(self, call: Any) -> Iterator[Taking]:
        """Those within a function, whose variables and tables are arguments of the call."""
        function = self._functions.get(call.attr["f"].func.name)
        if function is None:
            return
        arguments = dict(zip((argument.name for argument in function.signature.input_arg), call.input, strict=False))
        body = {node.name: node for node in function.node_def}
        for node in function.node_def:
            if node.op in TAKES:
                holder = node.input[0]
                if holder not in arguments:
                    raise _unreadable(node.name, "its variable is no argument of its function")
                yield self._taking(node, body, arguments[holder])

    def _taking(self, node: Any, body: Mapping[str, Any], holder: str) -> Taking:
        values = [feed for feed in node.input[1:] if not feed.startswith("^")]
        return Taking(node=node, holder=holder, values=tuple(self._stored(node, body, feed) for feed in values))

    def _stored(self, node: Any, body: Mapping[str, Any], feed: str) -> Stored:
        """The tensor of the checkpoint behind a tensor of the saver's graph."""
        seen: set[str] = set()
        while (source := body.get(owner(feed))) is not None and source.op in PASSES and source.name not in seen:
            seen.add(source.name)
            feed = source.input[0]
        if source is None:
            raise _unreadable(node.name, f"{owner(feed)} is not in the graph")
        if source.op in ("Restore", "RestoreSlice"):
            part = _strings(body, source.input[2]) if source.op == "RestoreSlice" else [b""]
            return Stored(key=_strings(body, source.input[1])[0], part=part[0], dtype=source.attr["dt"].type)
        if source.op != "RestoreV2":
            raise _unreadable(node.name, f"its value comes from {source.name} ({source.op})")
        port = feed.partition(":")[2]
        number = int(port.rpartition(":")[2] or 0)
        keys, parts = _strings(body, source.input[1]), _strings(body, source.input[2])
        return Stored(key=keys[number], part=parts[number], dtype=source.attr["dtypes"].list.type[number])


def _strings(body: Mapping[str, Any], feed: str) -> list[bytes]:
    node = body.get(owner(feed))
    if node is None or node.op != "Const":
        raise _unreadable(owner(feed), "it is no constant")
    tensor = node.attr["value"].tensor
    values = list(tensor.string_val)
    count = tensor.tensor_shape.dim[0].size if tensor.tensor_shape.dim else 1
    # Repetitions of the last value are left out of the file.
    return values + values[-1:] * min(count - len(values), MOST_KEYS)


MOST_KEYS = 1_000_000
"""The most keys that one constant stands for."""


def _unreadable(name: str, why: str) -> ModuleError:
    return ModuleError(
        f"reading which variable takes which value of the checkpoint: at {name}, {why}",
        hint="save the model again: TensorFlow's savers write no such graph",
    )
