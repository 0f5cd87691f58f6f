"""Encoders that take text, and preprocessors: Model Garden's tokenizers, which are tensorflow_text's, in the graph.

A model with these operations can be loaded only where tensorflow_text is registered, none of its signatures otherwise:
it is a SavedModel of its own beside the tensor export.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text  # registers the operations  # noqa: F401
from official.nlp.modeling import layers
from official.nlp.tools import export_tfhub_lib

from surgery.errors import ModuleError, WriteError
from surgery.runtime.reasons import reason
from surgery.tokenization import Tokenization

TOKENS = ("input_word_ids", "input_mask", "input_type_ids")
KEPT = TOKENS[:2]
SHORTEST = {1: 2, 2: 3}
"""Tokens of empty texts, by how many there are in a row: [CLS] [SEP], and one more [SEP]."""


class Packer:
    """From strings [batch], one or a pair of them, to int32 [batch, seq] inputs as long as the batch's longest row."""

    def __init__(self, tokenization: Tokenization, length: int) -> None:
        try:
            if tokenization.pieces:
                self.tokenize = layers.SentencepieceTokenizer(
                    model_file_path=str(tokenization.file),
                    lower_case=tokenization.lower_case,
                    strip_diacritics=True,  # as Model Garden's exporter does for ALBERT
                )
            else:
                self.tokenize = layers.BertTokenizer(
                    vocab_file=str(tokenization.file), lower_case=tokenization.lower_case, tokenize_with_offsets=False
                )
            special = self.tokenize.get_special_tokens_dict()
        except (tf.errors.OpError, ValueError, RuntimeError) as error:
            raise ModuleError(
                f"reading the vocabulary {tokenization.file}: {reason(error)}", hint="the file is no such vocabulary"
            ) from error
        self._pack = layers.BertPackInputs(seq_length=length, special_tokens_dict=special)

    def __call__(self, *texts: tf.Tensor) -> dict[str, tf.Tensor]:
        """Rows are cut at the packer's length, a pair fairly between the two."""
        packed = self._pack([self.tokenize(text) for text in texts])
        used = tf.reduce_max(tf.reduce_sum(packed["input_mask"], axis=1))
        longest = tf.maximum(used, SHORTEST[len(texts)])
        return {name: packed[name][:, :longest] for name in TOKENS}


class TextModel(tf.Module):
    """The root of a text export: the tensor export and the tokenizer, tracked so that both are saved."""

    def __init__(self, encoder: Any, packer: Packer) -> None:
        super().__init__()
        self.encoder = encoder
        self.tokenizer = packer.tokenize


def write_text_model(export: Path, tokenization: Tokenization, length: int, folder: Path) -> None:
    """Saves an export with signatures `text` and `text_pair` into `folder`, which must not exist yet."""
    encoder = tf.saved_model.load(str(export))
    packer = Packer(tokenization, length)
    run = encoder.signatures["serving_default"]

    def encode(*texts: tf.Tensor) -> dict[str, tf.Tensor]:
        packed = packer(*texts)
        return {**run(**packed), **{name: packed[name] for name in KEPT}}

    def strings(name: str) -> tf.TensorSpec:
        return tf.TensorSpec([None], tf.string, name=name)

    @tf.function(input_signature=[strings("text")], autograph=False)
    def text(text: tf.Tensor) -> dict[str, tf.Tensor]:
        return encode(text)

    @tf.function(input_signature=[strings("text"), strings("text_pair")], autograph=False)
    def text_pair(text: tf.Tensor, text_pair: tf.Tensor) -> dict[str, tf.Tensor]:
        return encode(text, text_pair)

    try:
        tf.saved_model.save(
            TextModel(encoder, packer),
            str(folder),
            signatures={"text": text, "text_pair": text_pair, "serving_default": text},
        )
    except (tf.errors.OpError, OSError) as error:
        raise WriteError(f"writing the text model to {folder}: {reason(error)}") from error


def text_differences(
    folder: Path, export: Path, tokenization: Tokenization, length: int, texts: Sequence[str]
) -> tuple[str, ...]:
    """Where a reloaded text export differs from its tensor export on Model Garden's own tokens, one line each."""
    loaded, encoder = (tf.saved_model.load(str(path)) for path in (folder, export))
    packer = Packer(tokenization, length)
    strings = tf.constant(list(texts))
    found = []
    for signature, given in (("text", (strings,)), ("text_pair", (strings, strings[::-1]))):
        wanted = packer(*given)
        expected = {**encoder.signatures["serving_default"](**wanted), **{name: wanted[name] for name in KEPT}}
        returned = loaded.signatures[signature](**dict(zip(("text", "text_pair"), given, strict=False)))
        for name, value in expected.items():
            if name not in returned or not np.allclose(returned[name], value, atol=1e-6):
                found.append(f"signature {signature}: {name} is not what the tensor export returns for its tokens")
    return tuple(found)


def write_preprocessor(tokenization: Tokenization, length: int, folder: Path) -> None:
    """Saves a preprocessor with Hub's text API into `folder`, by Model Garden's own exporter."""
    pieces, words = (str(tokenization.file), None) if tokenization.pieces else (None, str(tokenization.file))
    try:
        export_tfhub_lib.export_preprocessing(
            str(folder),
            vocab_file=words,
            sp_model_file=pieces,
            do_lower_case=tokenization.lower_case,
            tokenize_with_offsets=False,
            default_seq_length=length,
        )
    except (tf.errors.OpError, OSError, ValueError, RuntimeError) as error:
        raise WriteError(f"writing the preprocessor to {folder}: {reason(error)}") from error


def preprocessor_differences(
    folder: Path, tokenization: Tokenization, length: int, texts: Sequence[str]
) -> tuple[str, ...]:
    """Where a reloaded preprocessor differs from the layers that it was made of, one line each."""
    loaded = tf.saved_model.load(str(folder))
    packer = Packer(tokenization, length)
    strings = tf.constant(list(texts))
    wanted = packer(strings)
    longest = wanted["input_mask"].shape[1]
    found = loaded(strings)
    return tuple(
        f"{name} is not what Model Garden's layers return"
        for name in TOKENS
        if found[name].shape[1] != length or not np.array_equal(found[name][:, :longest], wanted[name])
    )
