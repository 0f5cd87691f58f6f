"""What TensorFlow's optimiser makes of exports on this processor, as a program of its own: oneDNN is set from outside.

    python -m tests.support.optimised FOLDER ...

It prints JSON: the fusions of tiny graphs ("here"), and by folder and signature the operations of the optimised graph
("session" in a v1 Session, as a server runs it; "loaded" by `tf.saved_model.load`). A fused operation is named with
what is fused into it, such as `_FusedMatMul{BiasAdd,Tanh}`.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import config_pb2
from tensorflow.python.eager import context

SHAPE = (2, 8)


def operations(nodes: Iterable[Any]) -> Counter[str]:
    """How often each operation stands among these nodes."""
    found: Counter[str] = Counter()
    for node in nodes:
        fused = node.attr["fused_ops"].list.s if "fused_ops" in node.attr else ()
        found[node.op + ("{" + ",".join(name.decode() for name in fused) + "}" if fused else "")] += 1
    return found


def in_a_session(folder: str) -> dict[str, Counter[str]]:
    """The operations of each signature of tokens, as a v1 Session runs it with all its outputs."""
    found = {}
    with tf.Graph().as_default() as graph, tf.compat.v1.Session(graph=graph) as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], folder)
        for name, signature in loaded.signature_def.items():
            if name.startswith("__") or "masked_lm_positions" in signature.inputs:
                continue
            session.run(
                {key: value.name for key, value in signature.outputs.items()},
                {value.name: [[1] * SHAPE[1]] * SHAPE[0] for value in signature.inputs.values()},
                options=config_pb2.RunOptions(output_partition_graphs=True),
                run_metadata=(metadata := config_pb2.RunMetadata()),
            )
            found[name] = Counter()
            for part in metadata.partition_graphs:
                nodes = [*part.node, *(node for body in part.library.function for node in body.node_def)]
                found[name] += operations(nodes)
    return found


def loaded(folder: str) -> dict[str, Counter[str]]:
    """The operations of each signature of tokens of the export that `tf.saved_model.load` gives."""
    module = tf.saved_model.load(folder)
    found = {}
    for name, run in module.signatures.items():
        inputs = dict.fromkeys(run.structured_input_signature[1], tf.ones(SHAPE, tf.int32))
        if "masked_lm_positions" not in inputs:
            found[name] = as_called(partial(run, **inputs))
    return found


def as_called(call: Callable[[], Any]) -> Counter[str]:
    """The operations of the functions that a call runs, as they are optimised for it."""
    context.enable_run_metadata()
    call()
    metadata = context.export_run_metadata()
    context.disable_run_metadata()
    found: Counter[str] = Counter()
    for graphs in metadata.function_graphs:
        found += operations(graphs.post_optimization_graph.node)
    return found


def here() -> list[str]:
    """What this TensorFlow fuses on this processor beside biases, residuals and simple activations.

    The forms are TensorFlow's own, not those of an export.
    """
    weights, bias = tf.Variable(tf.ones([8, 8])), tf.Variable(tf.ones([8]))

    def dense(approximate: bool) -> Any:
        @tf.function(input_signature=[tf.TensorSpec([None, 8])], autograph=False)
        def run(x: tf.Tensor) -> tf.Tensor:
            x = tf.nn.bias_add(tf.matmul(x, tf.reshape(weights, [8, 8])), tf.reshape(bias, [8]))
            if approximate:
                return 0.5 * x * (1.0 + tf.tanh(0.7978845608 * (x + 0.044715 * (x * x * x))))
            return tf.nn.gelu(x)

        return run

    @tf.function(input_signature=[tf.TensorSpec([None, 2, None, 4]), tf.TensorSpec([None, 1, 1, None])])
    def attention(x: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        return tf.nn.softmax(tf.matmul(x, x, transpose_b=True) * 0.5 + mask)

    states, scores = tf.ones(SHAPE), (tf.ones([2, 2, 8, 4]), tf.ones([2, 1, 1, 8]))
    calls = [partial(dense(True), states), partial(dense(False), states), partial(attention, *scores)]
    return [name.partition("{")[2].rstrip("}") for call in calls for name in as_called(call) if "{" in name]


def main(*folders: str) -> None:
    exports = {folder: {"session": in_a_session(folder), "loaded": loaded(folder)} for folder in folders}
    print(json.dumps({"here": here(), "exports": exports}))


if __name__ == "__main__":
    main(*sys.argv[1:])
