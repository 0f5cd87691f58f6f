"""The operations that a graph needs. Those of TensorFlow Text are registered only where a graph has them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from tensorflow.python.framework import op_def_registry

from surgery.errors import ModuleError


def know_operations(meta_graph: Any, name: str) -> None:
    """Registers TensorFlow Text's operations if a graph has operations that TensorFlow itself does not know.

    Raises ModuleError, which names the module, for operations that are still unknown then.
    """
    graph = meta_graph.graph_def
    used = {node.op for function in graph.library.function for node in function.node_def}
    used |= {node.op for node in graph.node}
    used -= {function.signature.name for function in graph.library.function}
    if any(op_def_registry.get(op) is None for op in used):
        with suppress(ImportError):
            import tensorflow_text  # noqa: F401
    missing = sorted(op for op in used if op_def_registry.get(op) is None)
    if missing:
        raise ModuleError(
            f"loading {name}: TensorFlow does not know its operations {', '.join(missing)}",
            hint="they come from a package of their own, which this environment lacks",
        )
