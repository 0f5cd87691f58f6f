"""infer_matmuls.py SIZES: the matrix products of a BERT alone, in TensorFlow, with weights of the source's sizes.

Each dense layer is one product of [tokens, in] and [in, out], each head has its two products, and nothing else is
computed. Every block has weights of its own, because a processor's cache would hold those of one block.
"""

import json
import math
import sys
import time
from pathlib import Path
from typing import Any

from scripts.tools.benchmark.programs.worker import Arrays, Call, Model, Signature, serve


def load() -> Model:
    """Make weights of the sizes that a file of JSON states."""
    import tensorflow as tf

    sizes = json.loads(Path(sys.argv[1]).read_text())
    hidden, inner, heads = sizes["hidden_size"], sizes["intermediate_size"], sizes["num_attention_heads"]
    started = time.perf_counter()

    def weight(rows: int, columns: int) -> Any:
        return tf.Variable(tf.random.normal([rows, columns], stddev=1 / math.sqrt(rows)))

    blocks = [
        [*(weight(hidden, hidden) for _ in range(4)), weight(hidden, inner), weight(inner, hidden)]
        for _ in range(sizes["num_hidden_layers"])
    ]
    pooler = weight(hidden, hidden)
    seconds = time.perf_counter() - started

    def products(states: Any, rows: Any, length: Any) -> Any:
        for query, key, value, output, wide, narrow in blocks:
            q, k, v = (
                tf.transpose(tf.reshape(tf.matmul(states, w), [rows, length, heads, hidden // heads]), [0, 2, 1, 3])
                for w in (query, key, value)
            )
            context = tf.matmul(tf.matmul(q, k, transpose_b=True), v)
            states = tf.matmul(tf.reshape(tf.transpose(context, [0, 2, 1, 3]), [rows * length, hidden]), output)
            states = tf.matmul(tf.matmul(states, wide), narrow)
        return tf.matmul(tf.reshape(states, [rows, length, hidden])[:, 0], pooler)

    function = tf.function(products)

    def prepare(inputs: Arrays) -> Call:
        rows, length = inputs["input_mask"].shape
        states = tf.random.normal([rows * length, hidden])
        shape = tf.constant(rows), tf.constant(length)
        return lambda: function(states, *shape)

    signature = Signature(prepare=prepare, arrays=lambda outputs: {}, outputs=())
    return Model(
        version=f"TensorFlow {tf.__version__}",
        load=seconds,
        vocabulary=sizes["vocab_size"],
        signatures={"serving_default": signature},
    )


if __name__ == "__main__":
    serve(load)
