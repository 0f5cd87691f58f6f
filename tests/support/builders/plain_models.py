"""Small SavedModels of every make for taps in the original graph: Keras 3, tf_keras, plain objects, TensorFlow 1."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
import tf_keras

v1 = tf.compat.v1


def build_keras3_cnn(path: Path) -> Path:
    """Keras 3's export: float32 [batch, 8, 8, 3] -> [batch, 5], signatures `serve` and `serving_default`."""
    keras.utils.set_random_seed(1)
    image = keras.Input((8, 8, 3), name="image")
    hidden = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(image)
    hidden = keras.layers.BatchNormalization(name="norm")(hidden)
    hidden = keras.layers.GlobalAveragePooling2D(name="pool")(hidden)
    model = keras.Model(image, keras.layers.Dense(5, name="classes")(hidden), name="cnn")
    model.export(path, verbose=False)
    return path


def build_lstm(path: Path, kind: str) -> Path:
    """int32 [batch, words] -> [batch, 2], from the last state of an LSTM that also returns its sequences."""
    library = keras if kind == "keras3" else tf_keras
    library.utils.set_random_seed(2)
    words = library.Input((None,), dtype="int32", name="words")
    hidden = library.layers.Embedding(10, 6, name="embedding")(words)
    lstm = library.layers.LSTM(5, return_sequences=True, return_state=True, name="lstm")
    sequences, state, memory = lstm(hidden)
    model = library.Model(words, library.layers.Dense(2, name="classes")(state), name="reader")
    if kind == "keras3":
        model.export(path, verbose=False)
    else:
        model.save(str(path), include_optimizer=False, save_format="tf")
    whole = library.Model(words, [sequences, state, memory])
    np.savez(
        path.with_suffix(".npz"), words=LSTM_WORDS, **dict(zip("shc", map(np.asarray, whole(LSTM_WORDS)), strict=True))
    )
    return path


LSTM_WORDS = np.array([[1, 2, 3, 4], [9, 8, 0, 0], [5, 5, 5, 5]], np.int32)
"""Words for which the sequences (s), last states (h) and memories (c) of an LSTM are kept beside it."""


@tf.custom_gradient
def doubled_backwards(x):
    """The identity, whose gradient is twice what it should be."""
    return tf.identity(x), lambda upstream: 2.0 * upstream


class Plain(tf.Module):
    """Calls in calls, a counter, a branch, a loop, a constant from outside, and a gradient of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = tf.Variable(tf.random.stateless_normal([4, 6], [1, 2]), name="kernel")
        self.frozen = tf.Variable(tf.ones([6]) * 0.5, trainable=False, name="frozen")
        self.calls = tf.Variable(0.0, trainable=False, name="calls")
        self.offset = tf.constant(np.arange(6, dtype=np.float32) / 10)

    @tf.function
    def count(self):
        self.calls.assign_add(1.0)

    @tf.function
    def project(self, x):
        tf.debugging.assert_less(x, 1e6, message="too large")
        product = tf.matmul(x, self.kernel, name="product")
        tf.nn.relu(product, name="unused")
        return doubled_backwards(product + self.offset) * self.frozen

    def graph(self, x):
        self.count()
        first, second = tf.split(self.project(x), 2, axis=1, name="halves")
        again = self.project(x)
        chosen = tf.cond(tf.reduce_sum(again) > 0, lambda: tf.exp(first, name="grown"), lambda: first - second)
        summed = tf.while_loop(lambda i, _: i < 3, lambda i, s: (i + 1, s + tf.sin(s, name="wave")), [0, second])[1]
        return {"y": chosen + summed, "calls": self.calls + 0.0}


def build_plain(path: Path) -> Path:
    """A plain object with the signatures `serving_default` (x [batch, 4] -> y [batch, 3], calls) and `ones`."""
    module = Plain()
    serve = tf.function(module.graph, input_signature=[tf.TensorSpec([None, 4], tf.float32, name="x")])
    ones = tf.function(lambda: {"one": tf.ones([2]) * module.frozen[0]}, input_signature=[])
    tf.saved_model.save(module, str(path), signatures={"serving_default": serve, "ones": ones})
    return path


def build_random(path: Path) -> Path:
    """A signature with an output that no two runs repeat, and one that all do."""
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, name="x")])
    def sample(x):
        drawn = tf.raw_ops.RandomStandardNormal(shape=tf.shape(x), dtype=tf.float32, name="drawn")
        return {"noise": drawn + x, "twice": tf.multiply(x, 2.0, name="product")}

    tf.saved_model.save(module, str(path), signatures=sample)
    return path


def build_picky(path: Path) -> Path:
    """A signature that takes serialized examples with a feature: nothing that could be made up."""
    module = tf.Module()
    module.weight = tf.Variable(2.0)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def parse(examples):
        x = tf.io.parse_example(examples, {"x": tf.io.FixedLenFeature([1], tf.float32)})["x"]
        return {"y": tf.multiply(x, module.weight, name="product")}

    tf.saved_model.save(module, str(path), signatures=parse)
    return path


def build_reference_variables(path: Path, *, hub: bool = False) -> Path:
    """TensorFlow 1 with variables of the old kind, one frozen, one in two parts, and the optimiser left in the graph.

    x [batch, 4] -> y [batch, 5]; a hub module has the empty tag set and no saver of its own.
    """
    with tf.Graph().as_default():
        v1.set_random_seed(1)
        x = v1.placeholder(tf.float32, [None, 4], name="x")
        kernel = v1.get_variable("kernel", [4, 3], use_resource=False)
        random = v1.random_normal_initializer()
        bias = v1.get_variable("bias", [3], use_resource=False, trainable=False, initializer=random)
        halves = v1.fixed_size_partitioner(2, axis=1)
        parts = v1.get_variable("parts", [3, 5], use_resource=False, partitioner=halves)
        hidden = tf.nn.relu(tf.matmul(x, kernel) + bias, name="hidden")
        tf.sin(hidden, name="unreturned")
        y = tf.matmul(hidden, tf.convert_to_tensor(parts), name="y")
        v1.train.GradientDescentOptimizer(0.1).minimize(tf.reduce_sum(y**2))
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            if hub:
                builder = v1.saved_model.Builder(str(path))
                signature = v1.saved_model.predict_signature_def({"x": x}, {"y": y})
                builder.add_meta_graph_and_variables(session, [], signature_def_map={"default": signature})
                builder.save()
            else:
                v1.saved_model.simple_save(session, str(path), inputs={"x": x}, outputs={"y": y})
    return path


def build_tf1_control_flow(path: Path) -> Path:
    """TensorFlow 1: words through a table over an asset, a loop and a branch of Switch and Merge, a function call.

    words [batch] -> total [batch]; another placeholder hangs beside, which the signature does not feed.
    """

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
    def halve(value):
        return tf.multiply(value, 0.5, name="half")

    asset = path.with_suffix(".txt")
    asset.write_text("red\ngreen\nblue\n")
    with tf.Graph().as_default():
        v1.disable_control_flow_v2()
        words = v1.placeholder(tf.string, [None], name="words")
        other = v1.placeholder(tf.float32, [None], name="other")
        initializer = tf.lookup.TextFileInitializer(
            str(asset), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
        )
        table = tf.lookup.StaticHashTable(initializer, -1)
        weight = v1.get_variable("weight", initializer=1.5, use_resource=True)
        ids = tf.cast(table.lookup(words), tf.float32, name="ids")
        tf.add(ids, other, name="needs_other")
        _, looped = tf.while_loop(
            lambda i, _: i < 3, lambda i, s: (i + 1, tf.add(s, ids, name="step")), [0, ids * weight], name="loop"
        )
        branch = tf.cond(tf.reduce_sum(ids) > 2.0, lambda: tf.negative(looped, name="minus"), lambda: looped)
        total = tf.identity(halve(branch), name="total")
        v1.enable_control_flow_v2()
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            v1.saved_model.simple_save(
                session,
                str(path),
                inputs={"words": words},
                outputs={"total": total},
                legacy_init_op=v1.tables_initializer(),
            )
    return path


def build_odd_keys(path: Path) -> Path:
    """TensorFlow 1 with a signature `serving_default` whose input is called X, and `regress`, whose is inputs."""
    with tf.Graph().as_default():
        x = v1.placeholder(tf.float32, [None, 2], name="x")
        y = tf.multiply(x, v1.get_variable("weight", initializer=3.0, use_resource=True), name="product")
        signatures = {
            "serving_default": v1.saved_model.predict_signature_def({"X": x}, {"y out": y}),
            "regress": v1.saved_model.predict_signature_def({"inputs": x}, {"outputs": tf.identity(y)}),
        }
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            builder = v1.saved_model.Builder(str(path))
            builder.add_meta_graph_and_variables(session, ["serve"], signature_def_map=signatures)
            builder.save()
    return path


def build_tf1_sparse(path: Path) -> Path:
    """TensorFlow 1 with a signature that takes a sparse x [batch, 5] and returns it dense, doubled, as y."""
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.sparse_placeholder(tf.float32, [None, 5], name="x")
        weight = v1.get_variable("weight", initializer=2.0, use_resource=True)
        y = tf.multiply(tf.sparse.to_dense(x), weight, name="product")
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(path), inputs={"x": x}, outputs={"y": y})
    return path


def build_tf1_tables(path: Path) -> Path:
    """TensorFlow 1 with two tables and no operation that fills both, as hub.Module saves them."""
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.string, [None], name="x")
        numbers, words = ["one", "two"], tf.constant([1, 2], tf.int64)
        to_number = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(numbers, words), 0)
        to_word = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(words, numbers), "?")
        n = to_number.lookup(x)
        weight = v1.get_variable("weight", initializer=2.0, use_resource=True)
        session.run(v1.global_variables_initializer())
        outputs = {"n": tf.cast(n, tf.float32) * weight, "word": to_word.lookup(n), "first": tf.ensure_shape(x, [2])}
        signature = v1.saved_model.predict_signature_def({"x": x}, outputs)
        builder = v1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()
    return path


def build_several(path: Path) -> Path:
    """Functions of every kind of input, each a signature: ragged `rag`, sparse `sp`, examples `ex`, plain `two`.

    `odd` returns what JSON and files of arrays hold with care, after as many steps as it is told.
    """
    module = tf.Module()
    module.weight = tf.Variable(2.0)

    @tf.function(input_signature=[tf.RaggedTensorSpec([None, None], tf.float32)])
    def rag(r):
        scaled = tf.multiply(r.flat_values, module.weight, name="scaled")
        return {"m": tf.reduce_sum(r, axis=1) * module.weight, "same": r.with_flat_values(scaled)}

    @tf.function(input_signature=[tf.SparseTensorSpec([None, 5], tf.float32)])
    def sp(s):
        return {"d": tf.sparse.to_dense(s) * module.weight}

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.int32, "a"), tf.TensorSpec([None, 2], tf.float32, "b")])
    def two(a, b):
        return {"sum": tf.cast(a, tf.float32) + b * module.weight}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def ex(examples):
        features = {"x": tf.io.FixedLenFeature([2], tf.float32), "v": tf.io.FixedLenFeature([1], tf.int64)}
        parsed = tf.io.parse_example(examples, features)
        return {"y": tf.multiply(parsed["x"], module.weight, name="product"), "v": parsed["v"]}

    @tf.function(input_signature=[tf.TensorSpec([], tf.float32, "steps")], autograph=False)
    def odd(steps):
        count = tf.while_loop(lambda n: n < steps, lambda n: (n + tf.cast(steps < 9.0, tf.float32),), [0.0])[0]
        return {
            "nan": tf.stack([steps / 0.0, count]),
            "half": tf.cast(count, tf.bfloat16),
            "bytes": tf.constant(b"\xff\0"),
        }

    functions = {"rag": rag, "sp": sp, "two": two, "ex": ex, "odd": odd}
    for name, function in functions.items():
        setattr(module, name, function)
    tf.saved_model.save(module, str(path), signatures=functions)
    return path
