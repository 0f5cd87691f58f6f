"""Classifiers as people save them after the tutorial "Classify text with BERT": a head on a hub.KerasLayer, trained.

Training is one step on random tokens, enough to move every weight away from the module's.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_hub as hub
import tf_keras

TOKENS = ("input_word_ids", "input_mask", "input_type_ids")


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


def build_module(
    folder: Path, encoder: Path, *, from_text: bool = False, optimizer: bool = False, encoders: int = 1
) -> Path:
    """Saves a trained classifier around a module with the vocabulary of the samples into `folder`."""
    if from_text:
        preprocessor = folder.with_name("preprocessor")
        tf.saved_model.save(Preprocessor(encoder / "assets" / "vocab.txt"), str(preprocessor))
        inputs = tf_keras.Input((), dtype=tf.string, name="text")
        tokens = hub.KerasLayer(str(preprocessor), name="preprocessing")(inputs)
        batch = tf.constant(["the cat", "a dog sat", "rain", "snow fell"])
    else:
        inputs = {name: tf_keras.Input((None,), dtype=tf.int32, name=name) for name in TOKENS}
        tokens = inputs
        ids = np.random.default_rng(0).integers(1, 1200, (4, 7)).astype(np.int32)
        batch = dict(zip(TOKENS, (ids, np.ones_like(ids), ids % 2), strict=True))
    layers = [hub.KerasLayer(str(encoder), trainable=True, name=f"encoder_{i}") for i in range(encoders)]
    pooled = [layer(tokens)["pooled_output"] for layer in layers]
    net = tf_keras.layers.Dropout(0.1)(sum(pooled[1:], start=pooled[0]))
    model = tf_keras.Model(inputs, tf_keras.layers.Dense(1, name="classifier")(net))
    model.compile(tf_keras.optimizers.Adam(1e-2), tf_keras.losses.BinaryCrossentropy(from_logits=True))
    model.train_on_batch(batch, np.array([[0.0], [1.0], [1.0], [0.0]]))
    model.save(folder, include_optimizer=optimizer)
    if from_text:
        shutil.rmtree(preprocessor)
    return folder


def wrap(folder: Path, encoder: Path) -> Path:
    """Saves a module below an object that holds it as a hub.KerasLayer does, with a weight of its own beside."""
    root = tf.Module()
    root.layer = tf.Module()
    root.layer._func = tf.saved_model.load(str(encoder))
    root.head = tf.Variable([1.0], name="head")
    tf.saved_model.save(root, str(folder))
    return folder
