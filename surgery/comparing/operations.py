"""The operations of two modules: how many there are of each type, and where the graph of a call or signature differs.

Graphs are compared node by node where most of their nodes have the same names, as those of one exporter have. Numbers
that TensorFlow adds to the names of functions do not count. Graphs of other programs name their nodes otherwise; then
the computation behind each output is compared as a whole, in which names do not count at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from surgery.comparing.interfaces import calls_of, graph_pairs
from surgery.comparing.node_texts import NodeTexts
from surgery.comparing.sides import Side
from surgery.formats.saved_model import tensor_names
from surgery.graphs.fingerprints import Fingerprints
from surgery.graphs.flat import FlatGraph, Tensor
from surgery.module import InspectedModule, MetaGraphInfo, Trace
from surgery.results import Brief
from surgery.scanning.scan import scan_saved_model
from surgery.sources import well_formed
from surgery.sources.common import assets_by_tensor
from surgery.sources.files import SAVED_MODEL

SAME_NAMES = 0.5
"""The share of names that two graphs must have in common to be compared node by node."""


@dataclass(frozen=True, kw_only=True)
class NodeChange:
    """An operation of a graph that differs.

    Attributes:
        node: Its name, below the scopes of the calls that lead to it; of an output, its key.
        what: "type", "input 0", the name of an attribute, "output" for another tensor behind an output, or "only A" or
            "only B".
        a: What it is in A; None where A has none.
        b: What it is in B; None where B has none.
    """

    node: str
    what: str
    a: str | None
    b: str | None


@dataclass(frozen=True, kw_only=True)
class GraphDifference:
    """The graph of a call or a signature that differs.

    Attributes:
        name: `__call__(training=False)`, or `signature serving_default`.
        types: The number of operations in A and in B, by type, where the numbers differ.
        nodes: The operations that differ, in the order of A; empty where the two graphs have other names.
        named_alike: Whether the graphs could be compared node by node.
    """

    name: str
    types: Mapping[str, tuple[int, int]]
    nodes: tuple[NodeChange, ...]
    named_alike: bool


@dataclass(frozen=True, kw_only=True, repr=False)
class Operations(Brief):
    """The operations of two modules, compared.

    Attributes:
        graphs: Whether both have a graph, so that there is something to compare.
        compared: Names of the calls and signatures whose graphs were compared: those with an output in common.
        types: The number of operations of the whole module in A and in B, by type, where the numbers differ.
        differing: The graphs that differ.
    """

    graphs: bool
    compared: tuple[str, ...] = ()
    types: Mapping[str, tuple[int, int]]
    differing: tuple[GraphDifference, ...] = ()

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not self.types and not self.differing


Ends = Sequence[Mapping[str, Tensor]]
"""The outputs that are compared, by key, of A and of B."""
Open = Callable[[], "Opened"]
"""Opens a graph."""
Labels = tuple[Mapping[str, str], Mapping[str, str]]
"""The name of the pair that each variable belongs to, by the variable's address, for A and for B."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """The graph of a call or a signature.

    Attributes:
        graph: The graph.
        keys: Paths or keys of its outputs, in their order.
        assets: Names of the nodes that hold the paths of assets.
    """

    graph: FlatGraph
    keys: tuple[str, ...]
    assets: frozenset[str] = frozenset()

    @property
    def ends(self) -> dict[str, Tensor]:
        """The outputs by their keys. A composite tensor has several of one key."""
        found: dict[str, Tensor] = {}
        seen: Counter[str] = Counter()
        for key, tensor in zip(self.keys, self.graph.outputs, strict=True):
            found[f"{key} ({seen[key]})" if seen[key] else key] = tensor
            seen[key] += 1
        return found


def compare_operations(a: Side, b: Side, labels: Labels) -> Operations:
    """Compares the graphs of two modules. Raises ModuleError for a graph whose parts do not fit together."""
    sides = (a.module, b.module)
    if any(module.saved_model is None for module in sides):
        return Operations(graphs=False, types={})
    if _one_file(*sides):
        return Operations(graphs=True, types={}, compared=tuple(_entries(*sides)))
    counts = tuple(map(_counted, sides))
    metas = [meta_graph.meta_info_def for module in sides for meta_graph in module.saved_model.meta_graphs]
    definitions = {definition.name: definition for meta in metas for definition in meta.stripped_op_list.op}
    differing, compared = [], []
    for name, (left, right) in _entries(*sides).items():
        with well_formed(a.module.name):
            one = left()
        with well_formed(b.module.name):
            other = right()
            if one.ends.keys().isdisjoint(other.ends):
                continue
            found = _graphs(name, one, other, labels, definitions)
        compared.append(name)
        if found is not None:
            differing.append(found)
    return Operations(graphs=True, compared=tuple(compared), types=_unequal(*counts), differing=tuple(differing))


def _one_file(a: InspectedModule, b: InspectedModule) -> bool:
    name = SAVED_MODEL
    return name in a.fingerprint and a.fingerprint[name] == b.fingerprint.get(name)


def _counted(module: InspectedModule) -> Counter[str]:
    """The operations of a whole module by type."""
    with well_formed(module.name):
        scan = scan_saved_model(module.saved_model, Path(module.folder), module.name, module.format)
    return sum((counts for kinds in scan.operations.values() for counts in kinds.values()), Counter())


def _unequal(a: Mapping[str, int], b: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Types whose numbers differ."""
    return {op: (a.get(op, 0), b.get(op, 0)) for op in sorted({*a, *b}) if a.get(op, 0) != b.get(op, 0)}


def _entries(a: InspectedModule, b: InspectedModule) -> dict[str, tuple[Open, Open]]:
    """Functions that open the two graphs of each call and signature that both modules have, by name."""
    found: dict[str, tuple[Open, Open]] = {}
    calls = [calls_of(one) for one in (a, b)]
    for name in calls[0]:
        if name in calls[1]:
            found[name] = (partial(_call, calls[0][name]), partial(_call, calls[1][name]))
    for left, right in graph_pairs(a, b):
        if left is None or right is None:
            continue
        tags = f" {{{', '.join(left.tags)}}}" if left is not a.inference else ""
        for name in sorted({s.name for s in left.signatures} & {s.name for s in right.signatures}):
            found[f"signature {name}{tags}"] = (partial(_signature, a, left, name), partial(_signature, b, right, name))
    return found


def _call(trace: Trace) -> Opened:
    return Opened(graph=trace.open_graph(), keys=tuple(path for path, _ in trace.flat_outputs))


def _signature(module: InspectedModule, info: MetaGraphInfo, name: str) -> Opened:
    """The graph between a signature's inputs and outputs, as a server runs it."""
    number = next(i for i, graph in enumerate(module.meta_graphs) if graph is info)
    meta_graph = module.saved_model.meta_graphs[number]
    signature = meta_graph.signature_def[name]
    inputs = [part for key in sorted(signature.inputs) for part in tensor_names(signature.inputs[key])]
    outputs = [(key, part) for key in sorted(signature.outputs) for part in tensor_names(signature.outputs[key])]
    return Opened(
        graph=FlatGraph.of_graph_def(meta_graph.graph_def, inputs, [part for _, part in outputs]),
        keys=tuple(key for key, _ in outputs),
        assets=frozenset(name.partition(":")[0] for name in assets_by_tensor(meta_graph)),
    )


def _graphs(name: str, a: Opened, b: Opened, labels: Labels, definitions: Mapping[str, Any]) -> GraphDifference | None:
    """How two graphs differ behind the outputs that both have; None if they compute the same."""
    shared = [key for key in a.ends if key in b.ends]
    ends = [{key: side.ends[key] for key in shared} for side in (a, b)]
    one, other = (
        NodeTexts(side.graph, list(wanted.values()), names, side.assets)
        for side, wanted, names in zip((a, b), ends, labels, strict=True)
    )
    changes = [*_node_changes(one, other), *_output_changes(ends, one, other)]
    if not changes or _computes_the_same((a.graph, b.graph), ends, labels, definitions):
        return None
    alike = len(one.nodes.keys() & other.nodes.keys()) >= SAME_NAMES * max(len(one.nodes), len(other.nodes))
    counts = [Counter(node.op for node in side.nodes.values()) for side in (one, other)]
    return GraphDifference(name=name, types=_unequal(*counts), nodes=tuple(changes) if alike else (), named_alike=alike)


def _node_changes(a: NodeTexts, b: NodeTexts) -> Iterator[NodeChange]:
    for name in dict.fromkeys([*a.nodes, *b.nodes]):
        one, other = a.nodes.get(name), b.nodes.get(name)
        if one is None or other is None:
            node = one or other
            assert node is not None, "one of the two has it"
            ops = (one.op if one else None, other.op if other else None)
            yield NodeChange(node=node.path, what="only A" if one else "only B", a=ops[0], b=ops[1])
            continue
        left, right = a.facts(one), b.facts(other)
        for what in dict.fromkeys([*left, *right]):
            if left.get(what) != right.get(what):
                yield NodeChange(node=one.path, what=what, a=a.shown(one, what), b=b.shown(other, what))


def _output_changes(ends: Ends, one: NodeTexts, other: NodeTexts) -> Iterator[NodeChange]:
    """Outputs of one key that come from other operations."""
    for key, tensor in ends[0].items():
        if key in ends[1] and one.tensor(tensor) != other.tensor(ends[1][key]):
            yield NodeChange(node=key, what="output", a=one.behind(tensor), b=other.behind(ends[1][key]))


def _computes_the_same(
    graphs: tuple[FlatGraph, FlatGraph], ends: Ends, labels: Labels, definitions: Mapping[str, Any]
) -> bool:
    """Whether every output is computed in the same way, whatever the nodes are called."""
    prints = []
    for graph, wanted, names in zip(graphs, ends, labels, strict=True):
        try:
            fingerprints = Fingerprints(graph, {}, names, definitions)
            prints.append({key: fingerprints.of(tensor) for key, tensor in wanted.items()})
        except ValueError:  # a loop of TensorFlow 1, which feeds itself
            return False
    return prints[0] == prints[1]
