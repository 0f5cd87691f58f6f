"""Imports a merged graph into the current TensorFlow graph, as it is or in double precision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import tensorflow as tf
from tensorboard.compat.proto import graph_pb2, types_pb2
from tensorflow.python.framework import kernels, op_def_registry
from tensorflow.python.ops import handle_data_util

from surgery.graphs.double import Double, in_double, prune, scalars
from surgery.graphs.merging import Merged, Merging
from surgery.proof.constants import exact_values

DEVICES = ("CPU", "DEFAULT")
"""The devices of kernels that run on a CPU. A kernel for "DEFAULT" runs on any."""


@dataclass(frozen=True, kw_only=True)
class Tensors:
    """The outputs of an imported graph.

    Attributes:
        tensors: The tensor of each output.
        lacking: The types of operations without a kernel for double precision, by the output that lacks for them.
        formulas: Names of the formulas whose exact values stand in it in place of their float32 roundings.
    """

    tensors: Mapping[str, Any]
    lacking: Mapping[str, tuple[str, ...]]
    formulas: tuple[str, ...]


def new_merging(*, differentiable: bool = False) -> Merging:
    """An empty merged graph, for operations that this TensorFlow knows (see Merging)."""
    return Merging(graph_pb2.GraphDef(), op_def_registry.get, differentiable=differentiable)


def import_merged(merged: Merged, bound: Mapping[str, Any], *, double: bool) -> Tensors:
    """Imports a merged graph. `bound` are the tensors for its free names: inputs, and the handles of variables."""
    graph_def, tensors = merged.graph_def, merged.tensors
    lacking: Mapping[str, tuple[str, ...]] = {}
    formulas: tuple[str, ...] = ()
    if double:
        narrow = [free for free, tensor in bound.items() if tensor.dtype.base_dtype == tf.float32]
        exact = exact_values(scalars(graph_def))
        values = {constant: formula.value for constant, formula in exact.items()}
        shapes = {free: shape for free in merged.variables if (shape := _shape_behind(bound[free])) is not None}
        twin: Double = in_double(graph_def, tensors, narrow, values, has_kernel, shapes)
        graph_def, tensors, lacking = twin.graph_def, twin.tensors, twin.lacking
        formulas = tuple(dict.fromkeys(formula.name for formula in exact.values()))
    else:
        graph_def = type(merged.graph_def)()
        graph_def.CopyFrom(merged.graph_def)
        prune(graph_def, tensors.values())
    names = list(tensors)
    read = {feed.partition(":")[0] for node in graph_def.node for feed in node.input}
    direct = {name: bound[owner] for name in names if (owner := tensors[name].partition(":")[0]) in bound}
    fetched = tf.graph_util.import_graph_def(
        tf.compat.v1.GraphDef.FromString(graph_def.SerializeToString()),
        input_map={f"{free}:0": tensor for free, tensor in bound.items() if free in read},
        return_elements=[tensors[name] for name in names if name not in direct],
        name="double" if double else "merged",
    )
    found = dict(zip((name for name in names if name not in direct), fetched, strict=True))
    return Tensors(tensors={**found, **direct}, lacking=lacking, formulas=formulas)


def _shape_behind(handle: Any) -> list[int] | None:
    """The shape of the variable of a handle; None where it is not known."""
    data = handle_data_util.get_resource_handle_data(handle) if handle.dtype == tf.resource else None
    if data is None or not data.is_set or len(data.shape_and_type) != 1:
        return None
    shape = tf.TensorShape(data.shape_and_type[0].shape)
    return shape.as_list() if shape.is_fully_defined() else None


def has_kernel(node: Any) -> bool:
    """Whether TensorFlow can run an operation with these types on a CPU.

    One that takes or returns float32 whatever its attributes are cannot be run in double precision.
    """
    definition = op_def_registry.get(node.op)
    if definition is None:
        return True  # a function: its operations are asked for
    if any(argument.type == types_pb2.DT_FLOAT for argument in (*definition.input_arg, *definition.output_arg)):
        return False
    found = {a.name: node.attr[a.name] for a in definition.attr if a.name in node.attr}
    for attribute in definition.attr:
        given = found.get(attribute.name, attribute.default_value)
        allowed = attribute.allowed_values.list.type
        if allowed and not {number for number in (given.type, *given.list.type) if number} <= set(allowed):
            return False
    types = tuple((name, value.type) for name, value in found.items() if value.type)
    return _has_kernel(node.op, types)


@cache
def _has_kernel(op: str, types: tuple[tuple[str, int], ...]) -> bool:
    found = [k for k in kernels.get_registered_kernels_for_op(op).kernel if k.device_type in DEVICES]
    return any(_takes(kernel, dict(types)) for kernel in found)


def _takes(kernel: Any, types: Mapping[str, int]) -> bool:
    return all(
        constraint.name not in types or types[constraint.name] in constraint.allowed_values.list.type
        for constraint in kernel.constraint
        if constraint.allowed_values.list.type
    )
