"""Graphs that are large or deep: calls of calls, chains of objects and nodes, and one node many times."""

from __future__ import annotations

from random import Random
from typing import Any

from scripts.tools.fuzz.messages import LARGE
from scripts.tools.fuzz.nodes import choose
from surgery.graphs.calls import CALLS

DEEP = (200, 3000, 30_000)
MANY = 20_000


def add_calls(rng: Random, meta_graph: Any) -> str:
    """Functions that each call the next, once or twice, so that written out they are large or deep."""
    times, depth = rng.choice(((1, 30), (1, 2000), (2, 30)))
    library = meta_graph.graph_def.library
    for level in range(depth):
        function = library.function.add()
        function.signature.name = f"made_{level}"
        function.signature.input_arg.add(name="x", type=1)
        function.signature.output_arg.add(name="y", type=1)
        for number in range(times):
            feed = "x" if number == 0 else f"call_{number - 1}:output:0"
            node = function.node_def.add(name=f"call_{number}", op="PartitionedCall", input=[feed])
            node.attr["f"].func.name = f"made_{level + 1}"
        function.ret["y"] = f"call_{times - 1}:output:0"
    last = library.function.add()
    last.signature.name = f"made_{depth}"
    last.signature.input_arg.add(name="x", type=1)
    last.signature.output_arg.add(name="y", type=1)
    last.ret["y"] = "x"
    for _ in range(50):
        node, _ = choose(rng, meta_graph)
        if node.op not in CALLS and len(node.input) == 1 and not node.name.startswith("call_"):
            node.op = "PartitionedCall"
            node.attr["f"].func.name = "made_0"
            break
    return f"{depth} functions that call the next {times} times"


def deepen(rng: Random, meta_graph: Any) -> str:
    """A long chain: objects that each hold the next, or nodes that each feed the next."""
    depth = rng.choice(DEEP)
    graph = meta_graph.object_graph_def
    if rng.random() < 0.5 and graph.nodes:
        owner = graph.nodes[0]
        for _ in range(depth):
            owner.children.add(node_id=len(graph.nodes), local_name="made")
            owner = graph.nodes.add()
            owner.user_object.SetInParent()
        return f"{depth} objects below each other"
    node, nodes = choose(rng, meta_graph)
    feed = node.input[0] if node.input else ""
    for number in range(depth):
        link = nodes.add(name=f"made_{number}", op="Identity", input=[feed])
        link.attr["T"].type = 1
        feed = link.name if nodes is meta_graph.graph_def.node else f"{link.name}:output:0"
    if node.input:
        node.input[0] = feed
    return f"{depth} nodes that feed each other"


def multiply(rng: Random, meta_graph: Any) -> str:
    node, nodes = choose(rng, meta_graph)
    copies = min(MANY, LARGE // max(1, node.ByteSize()))
    for number in range(copies):
        nodes.add().CopyFrom(node)
        nodes[-1].name = f"{node.name}_{number}"
    return f"{node.name} {copies} times"


def empty_nodes(rng: Random, meta_graph: Any) -> str:
    """Many nodes of two bytes each, which take fifty times as much when they are parsed."""
    count = rng.choice((100_000, 2_000_000))
    meta_graph.graph_def.MergeFromString(b"\n\0" * count)
    return f"{count} empty nodes"
