"""A flat graph as a GraphDef: calls gone, every tensor fetchable by name, variables still variables.

What a session would inline anyway is written out once. Captured variables and inputs become free names, to be bound
when the GraphDef is imported. Which output of an operation `name:output:1` is, its OpDef says; a SavedModel's own
list of them (`stripped_op_list`) leaves out those that only functions use, so the caller looks them up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tensorboard.compat.proto import graph_pb2

from surgery.graphs.fingerprints import see_through
from surgery.graphs.flat import FlatGraph, Node, Tensor


class Inlined(NamedTuple):
    """A GraphDef with the free names of its inputs and variables, and a name for each tensor asked for."""

    graph_def: Any
    inputs: tuple[str, ...]
    variables: Mapping[str, str]
    tensors: Mapping[str, str]


def inline(
    graph: FlatGraph, meta_graph: Any, tensors: Mapping[str, Tensor], definition: Callable[[str], Any]
) -> Inlined:
    """Writes out what these tensors, by name, need of a graph; `definition` gives an operation's OpDef."""
    names: dict[Node, str] = {node: f"inputs/{i}" for i, node in enumerate(graph.inputs)}
    names.update({node: f"variables/{i}" for i, node in enumerate(graph.variables.values())})
    free = dict(names)
    result = graph_pb2.GraphDef()
    result.versions.CopyFrom(meta_graph.graph_def.versions)
    taken: set[str] = set()

    def tensor_name(tensor: Tensor) -> str:
        tensor = see_through(tensor)
        index = 0 if tensor.node in free else _output_index(tensor, definition)
        return f"{names[tensor.node]}:{index}"

    for node in _needed(tensors.values(), free):
        name = node.path
        while name in taken:
            name += "_"
        taken.add(name)
        names[node] = name
        proto = result.node.add(name=name, op=node.op)
        proto.input.extend(tensor_name(feed) for feed in node.inputs)
        for key, value in node.attr.items():
            if not key.startswith("_"):
                proto.attr[key].CopyFrom(value)
    # While, If and their like still call functions; calls proper are gone.
    result.library.function.extend(reachable(meta_graph.graph_def.library, result.node))
    return Inlined(
        graph_def=result,
        inputs=tuple(names[node] for node in graph.inputs),
        variables={path: names[node] for path, node in graph.variables.items()},
        tensors={name: tensor_name(tensor) for name, tensor in tensors.items()},
    )


def _needed(tensors: Any, free: Mapping[Node, str]) -> list[Node]:
    """Nodes from which the tensors are computed, feeds before users; iterative, for deep encoders."""
    order: dict[Node, None] = {}
    stack = [see_through(tensor).node for tensor in tensors]
    while stack:
        node = stack[-1]
        feeds = [see_through(feed).node for feed in node.inputs] if node not in order and node not in free else []
        missing = [feed for feed in feeds if feed not in order and feed not in free]
        if missing:
            stack.extend(missing)
            continue
        stack.pop()
        if node not in free:
            order[node] = None
    return list(order)


def _output_index(tensor: Tensor, definition: Callable[[str], Any]) -> int:
    """`name:output:1` counts within one output argument; a GraphDef counts through all of them."""
    argument, _, index = tensor.port.rpartition(":")
    if not argument:
        return int(index)
    offset = 0
    for output in definition(tensor.node.op).output_arg:
        if output.name == argument:
            return offset + int(index)
        offset += _length(output, tensor.node)
    raise KeyError(f"{tensor.node.op} has no output {argument}")


def _length(output: Any, node: Node) -> int:
    if output.number_attr:
        return int(node.attr[output.number_attr].i)
    if output.type_list_attr:
        return len(node.attr[output.type_list_attr].list.type)
    return 1


def reachable(library: Any, nodes: Any) -> list[Any]:
    """The functions of a library that nodes call, directly or through one another, in name order."""
    functions = {function.signature.name: function for function in library.function}
    found: set[str] = set()
    queue = _called(nodes)
    while queue:
        name = queue.pop()
        if name not in found and name in functions:
            found.add(name)
            queue += _called(functions[name].node_def)
    return [functions[name] for name in sorted(found)]


def _called(nodes: Any) -> list[str]:
    """Names of the functions that nodes call, whatever the attribute is called."""
    names = []
    for node in nodes:
        for value in node.attr.values():
            if value.HasField("func"):
                names.append(value.func.name)
            names += [function.name for function in value.list.func]
    return names
