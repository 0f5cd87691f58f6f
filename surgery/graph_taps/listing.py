"""The tensors of a signature's graph, by the names under which they can be tapped. No TensorFlow here.

A tensor has the name of its operation, `layer/Relu`; a further output also has its number, `layer/Split:1`. The
signature's own inputs, variables and other handles, and tensors inside loops and branches are left out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from surgery.arguments import argument
from surgery.errors import ModuleError, UsageError
from surgery.formats import object_graph
from surgery.formats.saved_model import tensor_names
from surgery.formats.tensors import Shape
from surgery.graphs.calls import Address, Body, opened, tree_of_function, tree_of_graph
from surgery.graphs.flat import VARIABLES
from surgery.graphs.flatten import Output
from surgery.graphs.names import unique_names
from surgery.graphs.op_types import HANDLES, definitions_of, output_shapes, output_types
from surgery.graphs.reach import computed_from
from surgery.graphs.recurrence import described_results
from surgery.graphs.regions import Region, regions_of
from surgery.module import DEFAULT_SIGNATURE, SignatureInfo, for_inference
from surgery.results import Result
from surgery.sources import inspect_folder, well_formed
from surgery.sources.common import meta_graphs
from surgery.sources.files import Files
from surgery.sources.location import locate

DEFAULTS = (DEFAULT_SIGNATURE, "default")
"""The signature that is used when none is named: the first of these that exists."""
WILDCARDS = frozenset("*?[")


@dataclass(frozen=True, kw_only=True)
class GraphTensor:
    """A tensor that can be tapped.

    Attributes:
        name: Its name in the listing.
        op: The type of the operation that computes it.
        dtype: Its dtype by TensorFlow's name; "unknown" where the files do not show it.
        shape: Its shape, with None for a free axis; None for an unknown rank.
        spot: The operation in the graph, and the number of its output.
    """

    name: str
    op: str
    dtype: str
    shape: Shape | None
    spot: Output


@dataclass(frozen=True, kw_only=True)
class Enclosed:
    """A loop, a branch, or a function run by an operation, whose tensors cannot be tapped.

    Attributes:
        name: The name of the operation that runs it; in TensorFlow 1 the name of the loop's frame or of the condition.
        op: The type of that operation.
        kind: "loop", "branch" or "function".
        inside: Names of the operations in it.
        reachable: Names of tensors that have its results, and can be tapped.
        meanings: What some of them are, by name, where the graph says it: the state `h` and the memory `c` of an LSTM,
            and counters of steps.
    """

    name: str
    op: str
    kind: str
    inside: frozenset[str]
    reachable: tuple[str, ...]
    meanings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, repr=False)
class GraphListing(Result, report="graph"):
    """The graph of a signature.

    Attributes:
        files: The SavedModel's files.
        meta_graph: The meta graph of the signature, parsed.
        tags: Tags of that meta graph, sorted.
        signature: The signature.
        signatures: All signatures of the meta graph.
        tensors: The tensors that can be tapped, in the order of the file.
        enclosed: The loops and branches between them.
        feeds: Names of the signature's inputs in the graph.
        handles: Names of operations that return no values, such as variables and tables.
    """

    files: Files
    meta_graph: Any
    tags: tuple[str, ...]
    signature: SignatureInfo
    signatures: tuple[SignatureInfo, ...]
    tensors: tuple[GraphTensor, ...]
    enclosed: tuple[Enclosed, ...]
    feeds: frozenset[str]
    handles: frozenset[str]


@contextmanager
def open_graph(module: str, signature: str | None = None, *, with_weights: bool) -> Iterator[GraphListing]:
    """The graph of a signature of a folder, archive or handle. Its files exist until the block ends.

    Raises ModuleError for anything but a SavedModel, and UsageError for a signature that it does not have.
    """
    with locate(module, with_weights=with_weights) as files:
        yield list_graph(files, signature)


def list_graph(files: Files, signature: str | None = None) -> GraphListing:
    """Lists the tensors that can be computed from a signature's inputs. Raises as `open_graph` does."""
    with well_formed(files.name):
        meta_graph, infos, info = choose_signature(files, signature)
        root = opened(_tree(meta_graph, info))
        names = unique_names(root)
        regions = regions_of(meta_graph.graph_def, root, names)
        tensors, handles = _rows(meta_graph, info, root, names, regions)
        meanings = described_results(meta_graph.graph_def, root) if any(r.kind == "loop" for r in regions) else {}
    return GraphListing(
        files=files,
        meta_graph=meta_graph,
        tags=tuple(sorted(meta_graph.meta_info_def.tags)),
        signature=info,
        signatures=infos,
        tensors=tensors,
        enclosed=tuple(_enclosed(region, tensors, meanings) for region in regions),
        feeds=frozenset(root.arguments) | frozenset(_fed(meta_graph, info)),
        handles=handles,
    )


def matching(listing: GraphListing, pattern: str | None) -> GraphListing:
    """The listing with only the tensors that a pattern names: a glob for the whole name, or a part of the name."""
    if pattern is None:
        return listing
    glob = pattern if WILDCARDS & set(pattern) else f"*{pattern}*"
    return replace(listing, tensors=tuple(tensor for tensor in listing.tensors if fnmatchcase(tensor.name, glob)))


def choose_signature(files: Files, asked: str | None = None) -> tuple[Any, tuple[SignatureInfo, ...], SignatureInfo]:
    """The meta graph of the chosen signature, all its signatures, and the chosen one.

    If several meta graphs have the signature, that for inference is chosen. Raises ModuleError for anything but a
    SavedModel, and UsageError for a signature that it does not have.
    """
    if files.saved_model is None:
        checkpoint = inspect_folder(files)
        raise ModuleError(
            f"reading the graph of {files.name}: it is a {checkpoint.format}, which has weights but no graph",
            hint="surgery convert makes a SavedModel of it",
        )
    graphs = list(zip(files.saved_model.meta_graphs, meta_graphs(files.saved_model), strict=True))
    graphs.sort(key=lambda pair: "train" in pair[1].tags)
    graphs.insert(0, graphs.pop(for_inference([graph.tags for _, graph in graphs]) or 0))
    names = list(dict.fromkeys(signature.name for _, graph in graphs for signature in graph.signatures))
    if not names:
        raise ModuleError(
            f"reading the graph of {files.name}: it has no signature, so nothing says where its graph starts and ends",
            hint="save it again with signatures=",
        )
    defaults = [name for name in DEFAULTS if name in names] or names
    if asked is None and defaults == names and len(names) > 1:
        raise UsageError(
            f"reading the graph of {files.name}: it has several signatures, none of them the default",
            hint=f"choose with {argument('signature')}: " + ", ".join(sorted(names)),
        )
    wanted = defaults[0] if asked is None else asked
    for meta_graph, graph in graphs:
        for signature in graph.signatures:
            if signature.name == wanted:
                return meta_graph, graph.signatures, signature
    raise UsageError(
        f"{argument('signature', wanted)}: {files.name} has no such signature",
        hint="it has " + ", ".join(sorted(names)),
    )


def _tree(meta_graph: Any, signature: SignatureInfo) -> Body:
    """The signature's own function, if the SavedModel has objects; else the graph that all signatures share."""
    objects = meta_graph.object_graph_def
    if not objects.nodes:
        return tree_of_graph(meta_graph.graph_def)
    signatures = object_graph.children(objects, object_graph.ROOT)["signatures"]
    node = object_graph.children(objects, signatures)[signature.name]
    return tree_of_function(meta_graph.graph_def, objects.nodes[node].bare_concrete_function.concrete_function_name)


def _rows(
    meta_graph: Any, signature: SignatureInfo, root: Body, names: Mapping[Address, str], regions: Sequence[Region]
) -> tuple[tuple[GraphTensor, ...], frozenset[str]]:
    """Tensors in the order of the file, and the names of operations that only return handles."""
    enclosed = frozenset(spot for region in regions for spot in region.spots)
    computed = _computed(meta_graph, signature, root)
    definitions = definitions_of(meta_graph)
    tensors: list[GraphTensor] = []
    handles = set()
    for body, node in root.walk():
        address = (*body.address, node.name)
        if address in enclosed or address[0] not in computed:
            continue
        types = ["resource"] if node.op in VARIABLES else output_types(node, definitions)
        shapes = output_shapes(node, len(types))
        for index, (dtype, shape) in enumerate(zip(types, shapes, strict=True)):
            name = f"{names[address]}:{index}" if index else names[address]
            if dtype in HANDLES:
                handles.add(name)
            else:
                spot = Output(address=address, index=index)
                tensors.append(GraphTensor(name=name, op=node.op, dtype=dtype, shape=shape, spot=spot))
    return tuple(tensors), frozenset(handles)


def _computed(meta_graph: Any, signature: SignatureInfo, root: Body) -> Collection[str]:
    """Names of the root's operations and calls that can be computed from the inputs; in a function these are all."""
    if meta_graph.object_graph_def.nodes:
        return root.nodes
    outputs = meta_graph.signature_def[signature.name].outputs.values()
    names = [name for info in outputs for name in tensor_names(info)]
    return computed_from(root.nodes, _fed(meta_graph, signature), names)


def _fed(meta_graph: Any, signature: SignatureInfo) -> list[str]:
    inputs = meta_graph.signature_def[signature.name].inputs.values()
    return [name for info in inputs for name in tensor_names(info)]


def _enclosed(region: Region, tensors: Sequence[GraphTensor], meanings: Mapping[Output, str]) -> Enclosed:
    """A region with the tensors that have its results, its own outputs first."""
    rank = {address: position for position, address in enumerate(region.leaving)}
    results = [tensor for tensor in tensors if tensor.spot.address in rank]
    results = [t for t in results if rank[t.spot.address] or t.spot.index not in region.unchanged]
    results.sort(key=lambda tensor: rank[tensor.spot.address])
    return Enclosed(
        name=region.name,
        op=region.op,
        kind=region.kind,
        inside=region.inside,
        reachable=tuple(tensor.name for tensor in results),
        meanings={tensor.name: meanings[tensor.spot] for tensor in results if tensor.spot in meanings},
    )
