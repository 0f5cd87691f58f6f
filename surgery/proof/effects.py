"""What an export does besides computing outputs: writing variables or files.

Outputs are compared by the data that leads to them. An assignment that a control input puts before a read would go
unseen, and a second call would compute something else than the first one did.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from surgery.graphs.functions import functions_of, reachable
from surgery.graphs.reach import ancestors
from surgery.module import InspectedModule

WRITES = ("Assign", "Resource", "Scatter", "Save", "MergeV2Checkpoints", "Write", "Print", "PyFunc", "EagerPyFunc")
"""Beginnings of the types of operations that write: variables, tables, files, or anything that Python can."""
READS = ("ResourceGather",)
"""Beginnings of the types that begin like one that writes, and do not."""


def check_effects(exported: InspectedModule) -> Iterator[str]:
    """One line for each callable and signature of an export that writes something."""
    for meta_graph in exported.saved_model.meta_graphs:
        graph = meta_graph.graph_def
        functions, main = functions_of(graph), {node.name: node for node in graph.node}
        bodies: dict[str, list[Any]] = {}
        for trace in exported.traces:
            if trace.function in functions:
                bodies.setdefault(trace.callable, []).extend(functions[trace.function].node_def)
        for name, signature in meta_graph.signature_def.items():
            if not name.startswith("__"):  # such as the operation that loads the export
                ends = [info.name for info in signature.outputs.values()]
                bodies[f"signature {name}"] = [main[node] for node in sorted(ancestors(main, ends))]
        for name, nodes in bodies.items():
            called = [node for function in reachable(graph.library, nodes) for node in function.node_def]
            for op in sorted({node.op for node in (*nodes, *called) if _writes(node.op)}):
                yield f"{name}: it has an operation {op}, which writes, and nothing proves what"


def _writes(op: str) -> bool:
    return op.startswith(WRITES) and not op.startswith(READS)
