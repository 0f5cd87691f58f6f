"""A meta graph cut down to a few concrete functions and the operations that restore its variables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from surgery.formats import saved_model_pb


def read_meta_graph(folder: Path, tags: Sequence[str]) -> Any:
    """The meta graph with exactly these tags, as TensorFlow's own message."""
    for meta_graph in saved_model_pb.read(folder / "saved_model.pb").meta_graphs:
        if set(meta_graph.meta_info_def.tags) == set(tags):
            return tf.compat.v1.MetaGraphDef.FromString(meta_graph.SerializeToString())
    raise KeyError(f"no meta graph with the tags {sorted(tags)}")


def only_functions(meta_graph: Any, functions: Sequence[str]) -> Any:
    """The same meta graph with nothing but these functions, all variables, and the saver.

    Raises KeyError when it has no saver or lacks one of the functions.
    """
    if not meta_graph.saver_def.restore_op_name:
        raise KeyError("the meta graph has no saver, so its variables cannot be restored")
    graph = meta_graph.graph_def
    nodes = {node.name: node for node in graph.node}
    saver = meta_graph.saver_def
    roots = [saver.restore_op_name, saver.filename_tensor_name, saver.save_tensor_name]
    roots += [node.name for node in graph.node if node.op == "VarHandleOp"]
    kept = _ancestors(nodes, (_node_name(name) for name in roots))
    library = {function.signature.name: function for function in graph.library.function}
    wanted = _reachable(library, [*functions, *_called(nodes[name] for name in kept)])
    small = tf.compat.v1.MetaGraphDef(meta_info_def=meta_graph.meta_info_def, saver_def=saver)
    small.graph_def.versions.CopyFrom(graph.versions)
    small.graph_def.node.extend(node for node in graph.node if node.name in kept)
    small.graph_def.library.function.extend(library[name] for name in library if name in wanted)
    small.graph_def.library.gradient.extend(g for g in graph.library.gradient if g.function_name in wanted)
    return small


def _ancestors(nodes: dict[str, Any], roots: Iterable[str]) -> set[str]:
    kept: set[str] = set()
    queue = list(roots)
    while queue:
        name = queue.pop()
        if name not in kept:
            kept.add(name)
            queue += [_node_name(feed) for feed in nodes[name].input]
    return kept


def _reachable(library: dict[str, Any], roots: Iterable[str]) -> set[str]:
    found: set[str] = set()
    queue = list(roots)
    while queue:
        name = queue.pop()
        if name not in found:
            found.add(name)
            queue += _called(library[name].node_def)
    return found


def _called(nodes: Iterable[Any]) -> list[str]:
    """Names of the functions that nodes call, whatever the attribute is called."""
    names = []
    for node in nodes:
        for value in node.attr.values():
            if value.HasField("func"):
                names.append(value.func.name)
            names += [function.name for function in value.list.func]
    return names


def _node_name(tensor: str) -> str:
    return tensor.removeprefix("^").partition(":")[0]
