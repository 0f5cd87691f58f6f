"""Classifiers as people save them after the tutorial "Classify text with BERT": a head on a hub.KerasLayer, trained.

Training is one step on a few texts, enough to move every weight away from the module's.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_hub as hub
import tf_keras


class Preprocessor(tf.Module):
    """Strings [batch] to int32 [batch, seq] tokens, as a module that a hub.KerasLayer wraps: no weights, a table."""

    def __init__(self, vocab: Path) -> None:
        super().__init__()
        self.vocab_file = tf.saved_model.Asset(str(vocab))
        keys = tf.lookup.TextFileInitializer(
            self.vocab_file,
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
        )
        self.table = tf.lookup.StaticVocabularyTable(keys, 1)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def __call__(self, texts: tf.Tensor) -> dict[str, tf.Tensor]:
        ids = tf.cast(self.table.lookup(tf.strings.split(texts).to_tensor("[PAD]")), tf.int32)
        ids = tf.minimum(ids, 1199)
        return {"input_word_ids": ids, "input_mask": tf.cast(ids > 0, tf.int32), "input_type_ids": tf.zeros_like(ids)}


def build_module(folder: Path, encoder: Path) -> Path:
    """Saves a trained classifier of texts around a module, with its optimiser, into `folder`."""
    preprocessor = folder.with_name("preprocessor")
    tf.saved_model.save(Preprocessor(encoder / "assets" / "vocab.txt"), str(preprocessor))
    texts = tf_keras.Input((), dtype=tf.string, name="text")
    tokens = hub.KerasLayer(str(preprocessor), name="preprocessing")(texts)
    pooled = hub.KerasLayer(str(encoder), trainable=True, name="encoder")(tokens)["pooled_output"]
    net = tf_keras.layers.Dropout(0.1)(pooled)
    model = tf_keras.Model(texts, tf_keras.layers.Dense(1, name="classifier")(net))
    model.compile(tf_keras.optimizers.Adam(1e-2), tf_keras.losses.BinaryCrossentropy(from_logits=True))
    batch = tf.constant(["the cat", "a dog sat", "rain", "snow fell"])
    model.train_on_batch(batch, np.array([[0.0], [1.0], [1.0], [0.0]]))
    model.save(folder, include_optimizer=True)
    shutil.rmtree(preprocessor)
    return folder


def wrap(folder: Path, encoder: Path, layers: tuple[str, ...] = ("layer",)) -> Path:
    """Saves a module below objects that hold it as a hub.KerasLayer does, with a weight of their own beside."""
    root = tf.Module()
    for name in layers:
        layer = tf.Module()
        layer._func = tf.saved_model.load(str(encoder))
        setattr(root, name, layer)
    root.head = tf.Variable([1.0], name="head")
    tf.saved_model.save(root, str(folder))
    return folder
