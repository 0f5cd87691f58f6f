"""Changes of `saved_model.pb`: nodes, calls, functions, signatures, assets, the object graph, constants, raw bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from scripts.tools.fuzz import messages, values
from scripts.tools.fuzz.large_graphs import add_calls, deepen, empty_nodes, multiply
from scripts.tools.fuzz.nodes import bodies, choose
from surgery.formats.saved_model import SavedModel
from surgery.graphs.calls import CALLS

FILE = "saved_model.pb"
OPERATIONS = ("Placeholder", "Const", "Identity", "IdentityN", "PartitionedCall", "VarHandleOp", "WriteFile", "While")


def change(rng: Random, folder: Path) -> str:
    """Changes the parsed message at one to three places, or the bytes of the file."""
    path = folder / FILE
    data = path.read_bytes()
    path.unlink()
    if rng.random() < 0.08:
        path.write_bytes(values.damaged(rng, data))
        return "bytes damaged"
    saved_model = SavedModel.FromString(data)
    said = [_change_once(rng, saved_model) for _ in range(rng.choice((1, 1, 2, 3)))]
    path.write_bytes(saved_model.SerializeToString(deterministic=True))
    return "; ".join(said)


def _change_once(rng: Random, saved_model: Any) -> str:
    if not saved_model.meta_graphs or rng.random() < 0.25:
        return messages.change(rng, saved_model)
    meta_graph = rng.choice(saved_model.meta_graphs)
    return rng.choice(CHANGES)(rng, meta_graph)


def _change_inputs(rng: Random, meta_graph: Any) -> str:
    node, nodes = choose(rng, meta_graph)
    feeds = list(node.input)
    feed = rng.choice((rng.choice(nodes).name, node.name, "^" + node.name, node.name + ":99", values.name(rng)))
    how = rng.randrange(4)
    if feeds and how == 0:
        feeds[rng.randrange(len(feeds))] = feed
    elif feeds and how == 1:
        feeds.pop(rng.randrange(len(feeds)))
    elif how == 2:
        feeds.insert(rng.randrange(len(feeds) + 1), feed)
    else:
        rng.shuffle(feeds)
    del node.input[:]
    node.input.extend(feeds)
    return f"{node.name}: inputs {str(feeds)[:100]}"


def _change_operation(rng: Random, meta_graph: Any) -> str:
    node, nodes = choose(rng, meta_graph)
    node.op = rng.choice((rng.choice(nodes).op, rng.choice(OPERATIONS), values.name(rng)))
    return f"{node.name}: operation {node.op[:60]!r}"


def _change_name(rng: Random, meta_graph: Any) -> str:
    node, nodes = choose(rng, meta_graph)
    before, node.name = node.name, rng.choice((rng.choice(nodes).name, values.name(rng, node.name)))
    return f"{before}: named {node.name[:60]!r}"


def _change_attribute(rng: Random, meta_graph: Any) -> str:
    node, nodes = choose(rng, meta_graph)
    if not node.attr or rng.random() < 0.1:
        donor = rng.choice(nodes)
        for key in donor.attr:
            node.attr[key].CopyFrom(donor.attr[key])
        return f"{node.name}: attributes of {donor.name}"
    key = rng.choice(sorted(node.attr))
    if rng.random() < 0.2:
        del node.attr[key]
        return f"{node.name}: {key} removed"
    return f"{node.name}: {messages.change(rng, node.attr[key], key)}"


def _change_constant(rng: Random, meta_graph: Any) -> str:
    found = [node for nodes in bodies(meta_graph) for node in nodes if node.op == "Const"]
    if not found:
        return "no constant"
    node = rng.choice(found)
    tensor = node.attr["value"].tensor
    if rng.random() < 0.5:
        return f"{node.name}: {messages.change(rng, tensor)}"
    for size in rng.choice(([10**6, 10**6], [2**62, 4], [-1], [0], [10**9], [1] * 300)):
        tensor.tensor_shape.dim.add(size=size)
    return f"{node.name}: a shape of {len(tensor.tensor_shape.dim)} axes"


def _change_call(rng: Random, meta_graph: Any) -> str:
    names = [function.signature.name for function in meta_graph.graph_def.library.function]
    found = [node for nodes in bodies(meta_graph) for node in nodes if node.op in CALLS]
    if not found or not names:
        return "no call"
    node = rng.choice(found)
    node.attr["f"].func.name = rng.choice((rng.choice(names), values.name(rng)))
    return f"{node.name}: calls {node.attr['f'].func.name[:60]!r}"


def _change_function(rng: Random, meta_graph: Any) -> str:
    functions = meta_graph.graph_def.library.function
    if not functions:
        return "no function"
    at = rng.randrange(len(functions))
    function = functions[at]
    name = function.signature.name
    how = rng.randrange(5)
    if how == 0:
        del functions[at]
        return f"function {name} removed"
    if how == 1:
        function.signature.name = rng.choice((rng.choice(functions).signature.name, values.name(rng, name)))
    elif how == 2:
        return f"function {name}: {messages.change(rng, function.signature)}"
    elif how == 3 and function.ret:
        function.ret[rng.choice(sorted(function.ret))] = rng.choice(
            (values.name(rng), *[node.name + ":output:0" for node in function.node_def[:1]])
        )
    else:
        return f"function {name}: {messages.change(rng, function)}"
    return f"function {name} changed"


def _change_signature(rng: Random, meta_graph: Any) -> str:
    signatures = meta_graph.signature_def
    if not signatures:
        signatures["made"].SetInParent()
        return "a signature without tensors"
    key = rng.choice(sorted(signatures))
    if rng.random() < 0.3:
        renamed = values.name(rng, key)
        signatures[renamed].CopyFrom(signatures[key])
        return f"signature {renamed[:60]!r} added"
    return f"signature {key}: {messages.change(rng, signatures[key])}"


def _change_assets(rng: Random, meta_graph: Any) -> str:
    asset = rng.choice(meta_graph.asset_file_def) if meta_graph.asset_file_def else meta_graph.asset_file_def.add()
    asset.filename = values.name(rng, asset.filename)
    return f"asset {asset.filename[:60]!r}"


def _change_objects(rng: Random, meta_graph: Any) -> str:
    graph = meta_graph.object_graph_def
    if not graph.nodes:
        return "no object graph"
    node = rng.choice(graph.nodes)
    how = rng.randrange(5)
    if how == 0 and node.children:
        child = rng.choice(node.children)
        child.node_id = rng.choice((0, rng.randrange(len(graph.nodes)), len(graph.nodes), -1, 2**31 - 1))
        return f"child {child.local_name} is object {child.node_id}"
    if how == 1 and node.children:
        child = rng.choice(node.children)
        child.local_name = values.name(rng, child.local_name)
        return f"child named {child.local_name[:60]!r}"
    if how == 2:
        node.CopyFrom(rng.choice(graph.nodes))
        return "an object copied over another"
    if how == 3 and graph.concrete_functions:
        key = rng.choice(sorted(graph.concrete_functions))
        return f"concrete function: {messages.change(rng, graph.concrete_functions[key], key)}"
    return messages.change(rng, graph, "object_graph_def")


COMMON: tuple[Callable[[Random, Any], str], ...] = (
    _change_inputs,
    _change_operation,
    _change_name,
    _change_attribute,
    _change_constant,
    _change_call,
    _change_function,
    _change_signature,
    _change_assets,
    _change_objects,
)
CHANGES = (*COMMON * 4, add_calls, deepen, multiply, empty_nodes)
