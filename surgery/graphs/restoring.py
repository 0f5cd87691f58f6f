"""Restores variables without the module's own restore operation, which could do anything.

A saver's graph is read as data: which variable or table takes which tensor of the checkpoint. The same is then done by
operations that are made here, in a standard shape, and the meta graph's saver names those.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tensorboard.compat.proto import types_pb2

from surgery.errors import ModuleError
from surgery.graphs.calls import CALLS
from surgery.graphs.functions import functions_of
from surgery.graphs.names import unused
from surgery.graphs.reach import ancestors, owner

TAKES = frozenset({"Assign", "AssignVariableOp", "LookupTableImport", "LookupTableImportV2"})
"""Operations that put values into the variable or table of their first input."""
PASSES = frozenset({"Identity", "Reshape"})
"""Operations between a tensor of the checkpoint and the variable that takes it."""
SCOPE = "surgery_restore"
DEEPEST = 32
"""The most functions that call one another. TensorFlow's savers have two."""
MOST_CALLS = 10_000
"""The most calls of one function. A saver has one for each table."""
MOST_KEYS = 1_000_000
"""The most keys that one constant stands for."""


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


Value = str | Stored | ModuleError


def restored_by_us(meta_graph: Any) -> Any:
    """A copy of a meta graph whose saver names operations of ours; without a saver, just a copy.

    Raises ModuleError where the saver's graph does not show what it puts where.
    """
    own = type(meta_graph)()
    own.CopyFrom(meta_graph)
    if not meta_graph.saver_def.restore_op_name:
        return own
    takings = list(_takings(meta_graph))
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


@dataclass(frozen=True, kw_only=True)
class Body:
    """The graph, or the body of a function that is called.

    Attributes:
        nodes: Its operations by name.
        arguments: What each argument of the function is: a tensor of the graph, a tensor of the checkpoint, or an error
            where it is neither. None for the graph itself.
    """

    nodes: Mapping[str, Any]
    arguments: Mapping[str, Value] | None = None

    def value(self, feed: str) -> Value:
        """What a tensor is: one of the graph, by its name, or one of the checkpoint; else an error that says why."""
        seen: set[str] = set()
        while (node := self.nodes.get(owner(feed))) is not None and node.op in PASSES and node.name not in seen:
            seen.add(node.name)
            feed = node.input[0]
        if node is None:
            missing = _unreadable(owner(feed), "it is not in the graph")
            return missing if self.arguments is None else self.arguments.get(owner(feed), missing)
        if node.op in ("Restore", "RestoreSlice"):
            part = self._strings(node.input[2]) if node.op == "RestoreSlice" else [b""]
            return Stored(key=self._strings(node.input[1])[0], part=part[0], dtype=node.attr["dt"].type)
        if node.op == "RestoreV2":
            number = int(feed.partition(":")[2].rpartition(":")[2] or 0)
            keys, parts = self._strings(node.input[1]), self._strings(node.input[2])
            return Stored(key=keys[number], part=parts[number], dtype=node.attr["dtypes"].list.type[number])
        return feed if self.arguments is None else _unreadable(node.name, f"{node.op} is made within a function")

    def _strings(self, feed: str) -> list[bytes]:
        node = self.nodes.get(owner(feed))
        if node is None or node.op != "Const":
            raise _unreadable(owner(feed), "it is no constant")
        tensor = node.attr["value"].tensor
        values = list(tensor.string_val)
        count = tensor.tensor_shape.dim[0].size if tensor.tensor_shape.dim else 1
        # Repetitions of the last value are left out of the file.
        return values + values[-1:] * min(count - len(values), MOST_KEYS)


def _takings(meta_graph: Any) -> Iterator[Taking]:
    """Every operation that the restore operation waits for and that takes tensors of the checkpoint."""
    functions = functions_of(meta_graph.graph_def)
    graph = Body(nodes={node.name: node for node in meta_graph.graph_def.node})
    behind = ancestors(graph.nodes, [meta_graph.saver_def.restore_op_name])
    yield from _of_body(
        graph, (node for node in meta_graph.graph_def.node if node.name in behind), functions, Counter()
    )


def _of_body(
    body: Body, nodes: Iterable[Any], functions: Mapping[str, Any], opened: Counter[str], depth: int = 0
) -> Iterator[Taking]:
    """Those of a body, and of the functions that it calls. `opened` counts the calls of each function."""
    for node in nodes:
        feeds = [feed for feed in node.input if not feed.startswith("^")]
        function = functions.get(node.attr["f"].func.name) if node.op in CALLS else None
        if node.op in TAKES:
            holder, *values = (body.value(feed) for feed in feeds)
            yield Taking(node=node, holder=_tensor(node, holder), values=tuple(_stored(node, v) for v in values))
        elif function is not None:
            opened[function.signature.name] += 1
            if depth == DEEPEST or opened[function.signature.name] > MOST_CALLS:
                raise _unreadable(node.name, f"it calls {function.signature.name} again and again")
            names = [argument.name for argument in function.signature.input_arg]
            given = dict(zip(names, map(body.value, feeds), strict=False))
            inner = Body(nodes={inner.name: inner for inner in function.node_def}, arguments=given)
            yield from _of_body(inner, function.node_def, functions, opened, depth + 1)


def _tensor(node: Any, value: Value) -> str:
    if isinstance(value, ModuleError):
        raise value
    if isinstance(value, Stored):
        raise _unreadable(node.name, "it takes nothing but tensors of the checkpoint")
    return value


def _stored(node: Any, value: Value) -> Stored:
    if isinstance(value, ModuleError):
        raise value
    if isinstance(value, str):
        raise _unreadable(node.name, f"its value comes from {value}")
    return value


def _unreadable(name: str, why: str) -> ModuleError:
    return ModuleError(
        f"reading which variable takes which value of the checkpoint: at {name}, {why}",
        hint="save the model again: TensorFlow's savers write no such graph",
    )
