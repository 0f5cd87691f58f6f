"""A meta graph reduced to its variables and the operations that restore them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from surgery.graphs.flat import VARIABLES
from surgery.graphs.functions import reachable
from surgery.graphs.reach import ancestors


def with_tags(saved_model: Any, tags: Sequence[str]) -> Any:
    """The meta graph of a parsed SavedModel with exactly these tags. Raises KeyError when there is none."""
    for meta_graph in saved_model.meta_graphs:
        if set(meta_graph.meta_info_def.tags) == set(tags):
            return meta_graph
    raise KeyError(f"no meta graph with the tags {sorted(tags)}")


def only_variables(meta_graph: Any) -> Any:
    """A meta graph with only the variables and, if it has a saver, what restores them.

    TF1 hub.Modules have no saver: the keys of their checkpoint are the names of the variables.
    """
    graph, saver = meta_graph.graph_def, meta_graph.saver_def
    nodes = {node.name: node for node in graph.node}
    roots = [node.name for node in graph.node if node.op in VARIABLES]
    if saver.restore_op_name:
        roots += [saver.restore_op_name, saver.filename_tensor_name]
    kept = ancestors(nodes, roots)
    small = type(meta_graph)(meta_info_def=meta_graph.meta_info_def)
    if saver.restore_op_name:
        small.saver_def.CopyFrom(saver)
    small.graph_def.versions.CopyFrom(graph.versions)
    small.graph_def.node.extend(node for node in graph.node if node.name in kept)
    small.graph_def.library.function.extend(reachable(graph.library, small.graph_def.node))
    return small


def variable_handles(graph: tf.Graph) -> dict[str, tf.Tensor]:
    """Handles of a graph's variables, or references to them, by name. A name that two variables share is left out."""
    found: dict[str, list[tf.Tensor]] = {}
    for operation in graph.get_operations():
        if operation.type in VARIABLES:
            name = operation.get_attr("shared_name").decode() or operation.name
            found.setdefault(name, []).append(operation.outputs[0])
    return {name: handles[0] for name, handles in found.items() if len(handles) == 1}


def restore_by_name(handles: Mapping[str, tf.Tensor], prefix: str) -> list[Any]:
    """Adds operations to the current graph that restore each variable from the checkpoint's tensor of its name."""
    names = list(handles)
    dtypes = [handles[name].op.get_attr("dtype").base_dtype for name in names]
    values = tf.raw_ops.RestoreV2(prefix=prefix, tensor_names=names, shape_and_slices=[""] * len(names), dtypes=dtypes)
    return [_assign(handles[name], value) for name, value in zip(names, values, strict=True)]


def _assign(handle: tf.Tensor, value: tf.Tensor) -> Any:
    if handle.dtype == tf.resource:
        return tf.raw_ops.AssignVariableOp(resource=handle, value=value)
    return tf.raw_ops.Assign(ref=handle, value=value)
