"""A meta graph cut down to its variables and the operations that restore them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from surgery.formats import saved_model_pb
from surgery.formats.inline import reachable


def read_meta_graph(folder: Path, tags: Sequence[str]) -> Any:
    """The meta graph with exactly these tags. Raises KeyError when there is none."""
    for meta_graph in saved_model_pb.read(folder / "saved_model.pb").meta_graphs:
        if set(meta_graph.meta_info_def.tags) == set(tags):
            return meta_graph
    raise KeyError(f"no meta graph with the tags {sorted(tags)}")


def only_variables(meta_graph: Any) -> Any:
    """TensorFlow's MetaGraphDef with nothing but the variables and the saver.

    Raises KeyError when it has no saver.
    """
    if not meta_graph.saver_def.restore_op_name:
        raise KeyError("the meta graph has no saver, so its variables cannot be restored")
    graph, saver = meta_graph.graph_def, meta_graph.saver_def
    nodes = {node.name: node for node in graph.node}
    roots = [saver.restore_op_name, saver.filename_tensor_name, saver.save_tensor_name]
    roots += [node.name for node in graph.node if node.op == "VarHandleOp"]
    kept = _ancestors(nodes, (_node_name(name) for name in roots))
    small = type(meta_graph)(meta_info_def=meta_graph.meta_info_def, saver_def=saver)
    small.graph_def.versions.CopyFrom(graph.versions)
    small.graph_def.node.extend(node for node in graph.node if node.name in kept)
    small.graph_def.library.function.extend(reachable(graph.library, small.graph_def.node))
    return tf.compat.v1.MetaGraphDef.FromString(small.SerializeToString())


def _ancestors(nodes: dict[str, Any], roots: Iterable[str]) -> set[str]:
    kept: set[str] = set()
    queue = list(roots)
    while queue:
        name = queue.pop()
        if name not in kept:
            kept.add(name)
            queue += [_node_name(feed) for feed in nodes[name].input]
    return kept


def _node_name(tensor: str) -> str:
    return tensor.removeprefix("^").partition(":")[0]
