"""Where the operations of a meta graph stand: in what is run, and by which calls, or in the part that saves variables.

A place is found once for each operation of the graph and for each function, however many calls lead there: the number
of paths through functions that call one another grows without bounds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from surgery.formats import object_graph
from surgery.formats.saved_model import tensor_names
from surgery.graphs.functions import called_functions, functions_of
from surgery.graphs.reach import ancestors
from surgery.sources.common import INIT_OP_SIGNATURE

SIGNATURE = "signature"
CALLABLE = "callable"
INITIALISER = "initialiser"
RESTORE = "restore"
SAVE = "save"
GRADIENT = "gradient"
GRAPH = "graph"
UNCALLED = "function"
CONSTANT = "constant"

ITSELF = ""
"""Stands for the graph itself among the names of functions."""
INIT_COLLECTIONS = ("saved_model_main_op", "legacy_init_op", "table_initializer", "init_op", "local_init_op")
"""Collections with the names of operations that a loader runs once."""
INITIALISERS = frozenset({"_initialize", "_create_resource", "_destroy_resource", "_initializer", "initializer"})
"""Names of the functions by which TensorFlow 2 sets up the objects of a loaded module."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where an operation stands.

    Attributes:
        kind: The part of the module: one of the words above.
        name: The signature, the path of the callable, the operation that is run, or the function.
        calls: Names of the operations whose calls lead there, outermost first.
        function: The function in whose body it stands; "" for the graph itself.
        plumbing: True in the part of the graph that only saves and restores variables, which surgery never runs.
    """

    kind: str
    name: str = ""
    calls: tuple[str, ...] = ()
    function: str = ""
    plumbing: bool = False

    def __str__(self) -> str:
        where = f"{self.kind} {self.name}".strip()
        return " → ".join((where, *self.calls)) + (f" (in {self.function})" if self.function else "")


@dataclass(frozen=True, kw_only=True)
class Places:
    """The places of all operations of a graph.

    Attributes:
        nodes: The place of each operation of the graph itself, by name.
        functions: The place of each function of its library, by name.
        calls: The calls in each function of its library, and in the graph itself (ITSELF).
    """

    nodes: Mapping[str, Place]
    functions: Mapping[str, Place]
    calls: Mapping[str, Sequence[Call]]


class Call(NamedTuple):
    """An operation that calls a function of the library, or is handed one.

    Attributes:
        node: The operation's name.
        function: The function's name.
    """

    node: str
    function: str


def places_of(meta_graph: Any) -> Places:
    """The place of every operation and function of a meta graph."""
    graph = meta_graph.graph_def
    nodes = {node.name: node for node in graph.node}
    return _places(graph, _claimed(meta_graph, nodes), list(_objects(meta_graph)))


def places_within(graph: Any, outside: Place, constant: str) -> Places:
    """The places of a GraphDef that stands in a constant."""
    place = Place(kind=CONSTANT, name=f"{constant} of {outside}")
    return _places(graph, {node.name: place for node in graph.node}, [])


def _places(graph: Any, nodes: Mapping[str, Place], objects: list[tuple[str, Place]]) -> Places:
    library = functions_of(graph)
    calls = {name: _calls(function.node_def, library) for name, function in library.items()}
    calls[ITSELF] = _calls(graph.node, library)
    return Places(nodes=nodes, functions=_functions(graph, nodes, objects, calls), calls=calls)


def _calls(nodes: Iterable[Any], library: Mapping[str, Any]) -> list[Call]:
    """The calls of a library's functions by operations, also within the attributes of a function."""
    return [Call(node.name, name) for node in nodes for name in (node.op, *called_functions(node)) if name in library]


def _claimed(meta_graph: Any, nodes: Mapping[str, Any]) -> dict[str, Place]:
    """The first part of the meta graph that needs each operation; what is only needed to save comes last."""
    found: dict[str, Place] = {}
    starts: list[str] = []
    for place, feeds in _entries(meta_graph):
        starts += feeds
        for name in ancestors(nodes, feeds):
            found.setdefault(name, place)
    saver = meta_graph.saver_def
    restoring = ancestors(nodes, filter(None, [saver.restore_op_name]))
    saving = ancestors(nodes, filter(None, [saver.save_tensor_name, saver.filename_tensor_name]))
    # Whatever anything else needs is no plumbing, so that nothing is run that was taken for it.
    needed = ancestors(nodes, [*starts, *(nodes.keys() - restoring - saving)])
    for name in nodes:
        if name in needed:
            found.setdefault(name, Place(kind=GRAPH))
        elif name in restoring:
            found[name] = Place(kind=RESTORE, name=saver.restore_op_name, plumbing=True)
        else:
            found[name] = Place(kind=SAVE, name=saver.save_tensor_name, plumbing=True)
    return found


def _entries(meta_graph: Any) -> Iterator[tuple[Place, list[str]]]:
    """The parts of a meta graph that are run, and the tensors or operations at their ends.

    Signatures come first: what is run with every request is no initialiser.
    """
    for name in sorted(meta_graph.signature_def, key=lambda name: (name == INIT_OP_SIGNATURE, name)):
        signature = meta_graph.signature_def[name]
        kind = INITIALISER if name == INIT_OP_SIGNATURE else SIGNATURE
        for infos in (signature.outputs, signature.inputs):
            yield Place(kind=kind, name=name), [end for info in infos.values() for end in tensor_names(info)]
    for name in INIT_COLLECTIONS:
        if name in meta_graph.collection_def:
            yield Place(kind=INITIALISER, name=name), list(meta_graph.collection_def[name].node_list.value)


def _objects(meta_graph: Any) -> Iterator[tuple[str, Place]]:
    """The functions of the object graph, with their places."""
    graph = meta_graph.object_graph_def
    if not graph.nodes:
        return
    paths = object_graph.paths(graph)
    restores = {s.restore_function for node in graph.nodes for s in node.saveable_objects.values()}
    saves = {s.save_function for node in graph.nodes for s in node.saveable_objects.values()}
    for number, node in enumerate(graph.nodes):
        path = paths.get(number, f"object {number}")
        kind = SIGNATURE if path.startswith("signatures/") else CALLABLE
        if path.rpartition("/")[2] in INITIALISERS:
            kind = INITIALISER
        elif number in restores or number in saves:
            kind = RESTORE if number in restores else SAVE
        for function in (*node.function.concrete_functions, node.bare_concrete_function.concrete_function_name):
            if function:
                yield function, Place(kind=kind, name=path.removeprefix("signatures/"))


def _functions(
    graph: Any,
    nodes: Mapping[str, Place],
    objects: list[tuple[str, Place]],
    calls: Mapping[str, list[Call]],
) -> dict[str, Place]:
    """The place of every function: the first that reaches it, and the part that saves only where nothing else does."""
    library = functions_of(graph)
    edges = {name: list(within) for name, within in calls.items() if name != ITSELF}
    for gradient in graph.library.gradient:
        edges.setdefault(gradient.function_name, []).append(Call("its gradient", gradient.gradient_func))
    run: list[tuple[str, Place]] = []
    plumbing: list[tuple[str, Place]] = []
    for node, name in calls[ITSELF]:
        place = nodes[node]
        (plumbing if place.plumbing else run).append((name, replace(place, calls=(*place.calls, node))))
    gradients = [
        (registered.gradient_func, Place(kind=GRADIENT, name=registered.registered_op_type))
        for registered in graph.library.registered_gradients
    ]
    found: dict[str, Place] = {}
    _reach(run + objects + gradients, edges, library, found)
    saving: dict[str, Place] = {}
    _reach(plumbing, edges, library, saving)
    alone = [(name, Place(kind=UNCALLED, name=name)) for name in library if name not in found and name not in saving]
    _reach(alone, edges, library, found)
    return {**saving, **found}


def _reach(
    starts: Iterable[tuple[str, Place]],
    edges: Mapping[str, list[Call]],
    library: Mapping[str, Any],
    found: dict[str, Place],
) -> None:
    queue = deque((name, place) for name, place in starts if name in library)
    while queue:
        name, place = queue.popleft()
        if name in found:
            continue
        found[name] = replace(place, function=name)
        queue.extend(
            (callee, replace(place, calls=(*place.calls, call)))
            for call, callee in edges.get(name, ())
            if callee in library and callee not in found
        )
