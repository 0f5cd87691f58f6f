"""Signatures as functions that return more tensors of their own graph.

A TensorFlow 2 signature is traced again: its graph, with calls written out, is imported into a function that has the
same captures. A TensorFlow 1 graph is flat already: it is pruned to more fetches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow.python.framework import op_def_registry

from surgery.feeding.feeds import Feed
from surgery.graph_taps.selection import GraphTap
from surgery.graphs.calls import tree_of_graph
from surgery.graphs.flatten import Output, flatten, port_at
from surgery.graphs.frames import ENTER, SWITCH

FRAMED = ENTER | SWITCH
"""Operations of TensorFlow 1's control flow."""


def traced_again(function: Any, taps: Sequence[GraphTap]) -> Callable[..., dict[str, Any]]:
    """A function like a TensorFlow 2 concrete function, whose dict of outputs also has the taps."""
    body = written_out(function, [tap.tensor.spot for tap in taps])

    def run(**inputs: Any) -> dict[str, Any]:
        outputs, tapped = body(*tf.nest.flatten(inputs, expand_composites=True))
        return {**outputs, **{tap.output: tensor for tap, tensor in zip(taps, tapped, strict=True)}}

    return run


def pruned(
    loaded: Any, signature_def: Any, feeds: Sequence[Feed], taps: Sequence[GraphTap]
) -> Callable[..., dict[str, Any]]:
    """A TensorFlow 1 graph, pruned to the part between a signature's feeds and its outputs and taps.

    Taps inside a function that the graph calls are reached through the call, as in TensorFlow 2.
    """
    infos = {
        key: meta_graph_pb2.TensorInfo.FromString(info.SerializeToString())
        for key, info in signature_def.outputs.items()
    }
    outer = {tap.output: tap.tensor.spot for tap in taps if len(tap.tensor.spot.address) == 1}
    inner = [tap for tap in taps if tap.output not in outer]
    fetches = {
        "outputs": infos,
        "taps": {key: f"{place.address[0]}:{place.index}" for key, place in outer.items()},
        "calls": {tap.output: f"{tap.tensor.spot.address[0]}:0" for tap in inner},
    }
    plain = loaded.prune([feed.tensor for feed in feeds], fetches)
    body = written_out(plain, [tap.tensor.spot for tap in inner]) if inner else None

    def run(**inputs: Any) -> dict[str, Any]:
        values = [inputs[feed.argument] for feed in feeds]
        found, tapped = body(*values) if body else (plain(*values), [])
        return {
            **found["outputs"],
            **found["taps"],
            **{tap.output: tensor for tap, tensor in zip(inner, tapped, strict=True)},
        }

    return run


def written_out(function: Any, places: Sequence[Output]) -> Callable[..., tuple[Any, list[Any]]]:
    """A concrete function's graph with its calls written out, to be called while a function is traced.

    It takes the function's arguments, and returns the function's result and the tensors at the places.
    """
    graph_def = function.graph.as_graph_def()
    arguments = [placeholder.op.name for placeholder in function.inputs]
    root = tree_of_graph(graph_def, arguments, [operation.name for operation in function.graph.control_outputs])
    ports = [*(root.owner(tensor.name) for tensor in function.outputs), *(port_at(root, place) for place in places)]
    flat = flatten(root, ports, op_def_registry.get)
    own = len(arguments) - len(function.captured_inputs)

    def import_graph(*values: Any) -> tuple[Any, list[Any]]:
        graph = tf.compat.v1.get_default_graph()
        captured = dict(zip(arguments[own:], function.captured_inputs, strict=True))
        bound = dict(zip(arguments, values, strict=False))
        bound.update({name: graph.capture(tensor) for name, tensor in captured.items() if name in flat.free})
        made = [name for name in flat.tensors if name.partition(":")[0] not in bound]
        imported = tf.graph_util.import_graph_def(
            flat.graph_def,
            input_map={f"{name}:0": bound[name] for name in flat.free},
            return_elements=[*made, *flat.controls],
            name="",
        )
        known = {f"{name}:0": tensor for name, tensor in bound.items()} | dict(zip(made, imported, strict=False))
        with tf.control_dependencies(imported[len(made) :]):
            tensors = [tf.identity(known[name]) for name in flat.tensors]
        count = len(function.outputs)
        result = tf.nest.pack_sequence_as(function.structured_outputs, tensors[:count], expand_composites=True)
        return result, tensors[count:]

    if not any(node.op in FRAMED for node in flat.graph_def.node):
        return import_graph
    # tf.function adds control dependencies between operations, which is impossible between Enter and Exit.
    specs = [tf.TensorSpec.from_tensor(tensor) for tensor in function.inputs[:own]]
    wrapped: Callable[..., tuple[Any, list[Any]]] = tf.compat.v1.wrap_function(import_graph, specs)
    return wrapped
