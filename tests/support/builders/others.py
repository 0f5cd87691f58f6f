"""Small SavedModels that are not BERT encoders, and a TF1 hub module that computes x / 2."""

from __future__ import annotations

import tempfile
from pathlib import Path

import tensorflow as tf
import tf_keras

from .common import write_vocab

v1 = tf.compat.v1


def build_cnn(path: str | Path, *, seed: int = 0) -> Path:
    """A Keras image classifier: float32 [batch, 16, 16, 3] -> [batch, 10]."""
    tf.random.set_seed(seed)
    model = tf_keras.Sequential(
        [
            tf_keras.Input((16, 16, 3), name="image"),
            tf_keras.layers.Conv2D(8, 3, activation="relu", name="conv"),
            tf_keras.layers.BatchNormalization(name="norm"),
            tf_keras.layers.GlobalAveragePooling2D(name="pool"),
            tf_keras.layers.Dense(10, activation="softmax", name="classes"),
        ],
        name="cnn",
    )
    model.save(str(path), include_optimizer=False, save_format="tf")
    return Path(path)


class Preprocessor(tf.Module):
    """Lower-case, split on spaces, look up: strings [batch] -> three int32 [batch, words]."""

    def __init__(self, vocab_file: Path):
        super().__init__()
        initializer = tf.lookup.TextFileInitializer(
            str(vocab_file),
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
        )
        self.table = tf.lookup.StaticHashTable(initializer, default_value=1)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="sentences")])
    def __call__(self, sentences):
        words = tf.strings.split(tf.strings.lower(sentences))
        rows = tf.ragged.map_flat_values(self.table.lookup, words)
        input_word_ids = tf.cast(rows.to_tensor(), tf.int32)
        input_mask = tf.cast(tf.ones_like(rows).to_tensor(), tf.int32)
        return {
            "input_word_ids": input_word_ids,
            "input_mask": input_mask,
            "input_type_ids": tf.zeros_like(input_word_ids),
        }


def build_preprocessor(path: str | Path, *, vocab: int = 100) -> Path:
    """A text preprocessor: a static table over an asset file, a string signature, no variables."""
    with tempfile.TemporaryDirectory() as folder:
        module = Preprocessor(write_vocab(Path(folder), vocab))
        tf.saved_model.save(module, str(path), signatures=module.__call__)
    return Path(path)


def build_plain_tf1(path: str | Path, *, seed: int = 0) -> Path:
    """A SavedModel of TensorFlow 1, tagged `serve`: x [batch, 4] -> y [batch, 3]; no object graph."""
    with tf.Graph().as_default():
        v1.set_random_seed(seed)
        x = v1.placeholder(tf.float32, [None, 4], name="x")
        kernel = v1.get_variable("kernel", [4, 3], use_resource=True)
        y = tf.matmul(x, kernel, name="y")
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            v1.saved_model.simple_save(session, str(path), inputs={"x": x}, outputs={"y": y})
    return Path(path)


def attached_message(key: str, value: bytes) -> bytes:
    """The protobuf `{1: key, 2: value}` in wire form; both must be shorter than 128 bytes."""
    return bytes([0x0A, len(key)]) + key.encode() + bytes([0x12, len(value)]) + value


def build_half_module(path: str | Path) -> Path:
    """A TF1 hub module, x [batch] -> x / 2 under signature `default`: meta graphs `{}` and `{'train'}`."""

    def build_graph():
        x = v1.placeholder(tf.float32, [None], name="x")
        a = v1.get_variable("a", initializer=0.5, use_resource=True)
        b = v1.get_variable("b", initializer=0.0, use_resource=True)
        y = tf.add(x * a, b, name="y")
        message = attached_message("about", b"halves its input")
        v1.get_collection_ref("hub_module_attachments").append(message)
        return {"default": v1.saved_model.predict_signature_def({"default": x}, {"default": y})}

    builder = v1.saved_model.Builder(str(path))
    for tags in ([], ["train"]):
        with tf.Graph().as_default():
            signatures = build_graph()
            with v1.Session() as session:
                session.run(v1.global_variables_initializer())
                if tags:
                    builder.add_meta_graph(tags, signature_def_map=signatures)
                else:
                    builder.add_meta_graph_and_variables(session, tags, signature_def_map=signatures)
    builder.save()
    (Path(path) / "tfhub_module.pb").write_bytes(b"\x08\x03")
    return Path(path)
