"""What an export does besides computing outputs: writing variables, tables or files, and drawing random numbers.

Outputs are compared by the data that leads to them. An assignment that a control input puts before a read would go
unseen, and a second call would compute something else than the first one did. So it would with random numbers, which
only training draws.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from surgery.graphs.functions import functions_of, reachable
from surgery.graphs.reach import ancestors
from surgery.module import InspectedModule
from surgery.scanning.operations import ALLOWED, NUMBERS, RANDOM, STATE

READS = frozenset(
    {
        *("VarHandleOp", "Variable", "VariableV2", "ReadVariableOp", "ResourceGather", "ResourceGatherNd"),
        *("IsVariableInitialized", "VarIsInitializedOp", "DisableCopyOnRead"),
        *("AnonymousHashTable", "HashTable", "HashTableV2", "LookupTableFind", "LookupTableFindV2"),
        *("LookupTableSize", "LookupTableSizeV2", "LookupTableExport", "LookupTableExportV2"),
    }
)
"""Operations on the state of variables and tables that do not change it."""


def check_effects(exported: InspectedModule) -> Iterator[str]:
    """One line for each callable and signature of an export that writes something, or draws numbers in inference."""
    for meta_graph in exported.saved_model.meta_graphs:
        graph = meta_graph.graph_def
        functions, main = functions_of(graph), {node.name: node for node in graph.node}
        bodies: dict[str, list[Any]] = {}
        inference: dict[str, list[Any]] = {}
        for trace in exported.traces:
            if trace.function in functions:
                nodes = functions[trace.function].node_def
                bodies.setdefault(trace.callable, []).extend(nodes)
                inference.setdefault(trace.callable, []).extend(() if trace.training else nodes)
        for name, signature in meta_graph.signature_def.items():
            if not name.startswith("__"):  # such as the operation that loads the export
                ends = [info.name for info in signature.outputs.values()]
                own = [main[node] for node in sorted(ancestors(main, ends))]
                bodies[f"signature {name}"] = own
                inference[f"signature {name}"] = [] if "train" in meta_graph.meta_info_def.tags else own
        for name in bodies:
            for op in sorted(op for op in _types(graph, bodies[name]) if writes(op, functions)):
                yield f"{name}: it has an operation {op}, which writes, and nothing proves what"
            for op in sorted(op for op in _types(graph, inference[name]) if ALLOWED.get(op) == RANDOM):
                yield f"{name}: it has an operation {op}, which draws random numbers, and it does not train"


def _types(graph: Any, nodes: list[Any]) -> set[str]:
    """The types of operations, and of those in the functions that they call."""
    called = [node for function in reachable(graph.library, nodes) for node in function.node_def]
    return {node.op for node in (*nodes, *called)}


def writes(op: str, functions: Collection[str]) -> bool:
    """Whether an operation of this type may change something: all but those of which the allowlist knows better.

    A call of one of the `functions` by its name changes nothing itself.
    """
    if op in functions or ALLOWED.get(op) in (NUMBERS, RANDOM):
        return False
    return ALLOWED.get(op) != STATE or op not in READS
