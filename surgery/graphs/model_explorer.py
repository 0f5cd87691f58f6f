"""Values to be laid over a graph in Google's Model Explorer, as its custom node data.

Model Explorer's adapter "TF adapter (direct)" shows the operations outside of functions as the graph `main`, and each
function as a graph of its name. The id of an operation is its number in the file; in a function the number 0 is that of
the arguments (`src/builtin-adapter/direct_saved_model_to_json_graph_convert.cc` of google-ai-edge/model-explorer). The
form of a file of values is in its `node_data_builder.py` and is written here by hand: the package needs a web server.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from surgery.graphs.calls import Body
from surgery.graphs.fingerprints import see_through
from surgery.graphs.flat import Tensor
from surgery.graphs.op_types import handed_on

OUTSIDE = "main"
"""The graph of the operations outside of functions."""
WORST = "#ef9a9a"
"""The colour of a value that should not be."""
NodeData = dict[str, Any]
"""A file: by graph, its `name`, its `results` by the id of an operation, and its colours."""


class Place(NamedTuple):
    """An operation as Model Explorer shows it.

    Attributes:
        graph: The graph, which is a function's name or `main`.
        node: The name of the operation.
    """

    graph: str
    node: str


def node_ids(graph_def: Any) -> dict[Place, str]:
    """The id of every operation of a GraphDef and of its functions."""
    ids = {Place(OUTSIDE, node.name): str(number) for number, node in enumerate(graph_def.node)}
    for function in graph_def.library.function:
        name = function.signature.name
        ids.update({Place(name, node.name): str(number) for number, node in enumerate(function.node_def, 1)})
    return ids


def places_of(tensor: Tensor) -> Iterator[Place]:
    """Where a tensor can be seen: the operation that computes it, those that hand it on, and the calls around them.

    A free argument is seen nowhere: nothing computes it.
    """
    last = see_through(tensor)
    while True:
        node, body = tensor.node, tensor.node.body
        if body is not None:
            yield Place(_graph_of(body), node.proto.name)
        while body is not None and body.caller is not None:
            yield Place(_graph_of(body.caller), body.call.name)
            body = body.caller
        if tensor == last:
            return
        tensor = node.inputs[handed_on(node.op, tensor.port) or 0]


def _graph_of(body: Body) -> str:
    return body.functions[-1] if body.functions else OUTSIDE


def node_data(
    name: str, values: Iterable[tuple[Place, float]], ids: Mapping[Place, str], **colours: list[dict[str, Any]]
) -> NodeData:
    """A file of node data.

    Args:
        name: What the values are, for people.
        values: The values. Of several at one place, the largest is shown; JSON has no infinity, which is a text then.
        ids: The ids of the operations.
        colours: `thresholds` or `gradient`, as Model Explorer takes them. They are for numbers only.
    """
    largest: dict[Place, float] = {}
    for place, value in values:
        size = value if math.isfinite(value) else math.inf
        largest[place] = max(size, largest.get(place, size))
    graphs: NodeData = {}
    for place, value in largest.items():
        graph = graphs.setdefault(place.graph, {"name": name, "results": {}, **colours})
        shown = {"value": value} if math.isfinite(value) else {"value": "infinite", "bgColor": WORST}
        graph["results"][ids[place]] = shown
    return graphs
