"""Encoders that take text, and preprocessors: Model Garden's tokenizers, which are tensorflow_text's, in the graph.

A SavedModel with these operations can only be loaded where tensorflow_text is registered; without it, not even its
other signatures run. The text export is therefore a SavedModel of its own beside the tensor export.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text  # registers the operations  # noqa: F401
from official.nlp.modeling import layers
from official.nlp.tools import export_tfhub_lib

from surgery.batching import MASK, TOKEN_INPUTS, TYPE_IDS
from surgery.errors import ModuleError, WriteError
from surgery.explanation.tokenization import FAIRSEQ, Tokenization
from surgery.module import DEFAULT_SIGNATURE
from surgery.planning.texts import RETURNED, TEXT_SIGNATURES
from surgery.scanning.gate import Cleared
from surgery.tf.loading import loaded_objects
from surgery.tf.reasons import reason

FAIRSEQ_SPECIAL = {
    "start_of_sequence_id": FAIRSEQ.index("<s>"),
    "end_of_segment_id": FAIRSEQ.index("</s>"),
    "padding_id": FAIRSEQ.index("<pad>"),
}


class Packer:
    """Turns texts, string [batch], or pairs of texts into int32 [batch, seq] inputs as long as the batch's longest row.

    A row is [CLS] text [SEP], and with a second text one more [SEP] at the end; for XLM-R it is <s> text </s>, and with
    a second text `<s> text </s> </s> second </s>`, all of type 0. `length` is the most tokens of a row. If there is
    room, the inputs have `right_context` more positions of padding; surgery.tables.family.Family says why. Raises
    ModuleError for a file that is no such vocabulary.
    """

    def __init__(self, tokenization: Tokenization, length: int, right_context: int = 0) -> None:
        self._right_context, self._fairseq = right_context, tokenization.fairseq
        try:
            if tokenization.pieces:
                self.tokenize = layers.SentencepieceTokenizer(
                    model_file_path=str(tokenization.file),
                    lower_case=tokenization.lower_case,
                    strip_diacritics=not tokenization.fairseq,  # as Model Garden's exporter does for ALBERT
                )
            else:
                self.tokenize = layers.BertTokenizer(
                    vocab_file=str(tokenization.file), lower_case=tokenization.lower_case, tokenize_with_offsets=False
                )
            special = FAIRSEQ_SPECIAL if tokenization.fairseq else self.tokenize.get_special_tokens_dict()
        except (tf.errors.OpError, ValueError, RuntimeError) as error:
            raise ModuleError(
                f"reading the vocabulary {tokenization.file}: {reason(error)}", hint="the file is no such vocabulary"
            ) from error
        self._pack = layers.BertPackInputs(seq_length=length, special_tokens_dict=special)

    def __call__(self, *texts: tf.Tensor) -> dict[str, tf.Tensor]:
        """The encoder's inputs by name. Rows are cut at the packer's length; of a pair, both texts are cut fairly."""
        segments = [self.tokenize(text) for text in texts]
        if self._fairseq:
            segments = [moved_ids(segment) for segment in segments]
            if len(segments) > 1:
                segments.insert(1, segments[0][:, :0])  # nothing between two separators
        packed = self._pack(segments)
        if self._fairseq:
            packed[TYPE_IDS] = tf.zeros_like(packed[TYPE_IDS])
        used = tf.reduce_max(tf.reduce_sum(packed[MASK], axis=1))
        longest = tf.maximum(used, len(segments) + 1) + self._right_context
        return {name: packed[name][:, :longest] for name in TOKEN_INPUTS}


def moved_ids(pieces: tf.RaggedTensor) -> tf.RaggedTensor:
    """XLM-R's ids of SentencePiece's: <unk>, its 0, has a place of its own, and the others are one further."""
    return tf.ragged.map_flat_values(lambda ids: tf.where(ids == 0, FAIRSEQ.index("<unk>"), ids + 1), pieces)


class TextModel(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
    """The root of a text export: the tensor export and the tokenizer, tracked so that both are saved."""

    def __init__(self, encoder: Any, packer: Packer) -> None:
        super().__init__()
        self.encoder = encoder
        self.tokenizer = packer.tokenize


def write_text_model(
    encoder: Any, tokenization: Tokenization, length: int, right_context: int, folder: Path
) -> dict[str, str]:
    """Saves a text export of the tensor export `encoder` (surgery.tf.loading.loaded_objects) into `folder`.

    Its signatures `text` and `text_pair` return the outputs of `serving_default`. For any other signature NAME of the
    tensor export that only takes tokens, `NAME_text` returns its outputs. Returns the signature of the tensor export
    that each of its signatures runs. Raises ModuleError for a damaged vocabulary, and WriteError when the files cannot
    be written.
    """
    packer = Packer(tokenization, length, right_context)
    signatures = {
        name: _text_signature(encoder.signatures[of], packer, names) for name, of, names in _text_signatures(encoder)
    }
    signatures[DEFAULT_SIGNATURE] = signatures["text"]
    try:
        tf.saved_model.save(TextModel(encoder, packer), str(folder), signatures=signatures)
    except (tf.errors.OpError, OSError) as error:
        raise WriteError(f"writing the text model to {folder}: {reason(error)}") from error
    runs = {name: of for name, of, _ in _text_signatures(encoder)}
    return {**runs, DEFAULT_SIGNATURE: runs["text"]}


def _text_signatures(encoder: Any) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Each signature of a text export: its name, the tensor export's signature that it runs, and its inputs."""
    for number, name in enumerate(TEXT_SIGNATURES, start=1):
        yield name, DEFAULT_SIGNATURE, TEXT_SIGNATURES[:number]
    for name, run in encoder.signatures.items():
        if name != DEFAULT_SIGNATURE and set(run.structured_input_signature[1]) <= set(TOKEN_INPUTS):
            yield f"{name}_text", name, ("text",)


def _text_signature(run: Any, packer: Packer, names: Sequence[str]) -> Any:
    """A signature of strings [batch], by name. It returns the outputs of `run`, which takes tokens, and the tokens."""

    def encode(*texts: tf.Tensor) -> dict[str, tf.Tensor]:
        packed = packer(*texts)
        return {**run(**_taken(run, packed)), **{name: packed[name] for name in RETURNED}}

    specs = [tf.TensorSpec([None], tf.string, name=name) for name in names]
    return tf.function(encode, input_signature=specs, autograph=False)


def _taken(run: Any, packed: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """The tokens that a signature takes: an encoder without token types takes none."""
    return {name: packed[name] for name in run.structured_input_signature[1]}


def text_differences(
    written: Cleared, encoder: Any, tokenization: Tokenization, length: int, right_context: int, texts: Sequence[str]
) -> tuple[str, ...]:
    """Differences between a text export, reloaded, and the tensor export `encoder` on Model Garden's own tokens.

    Each is one line.
    """
    packer = Packer(tokenization, length, right_context)
    # The longest text is run alone: the attention maps of a whole batch of its length would take gigabytes.
    longest = max(texts, key=len)
    groups = [[text for text in texts if text != longest], [longest]]
    found: dict[str, None] = {}
    with loaded_objects(written) as loaded:
        for (signature, of, names), group in product(_text_signatures(encoder), groups):
            inputs = dict(zip(names, (tf.constant(group), tf.constant(group[::-1])), strict=False))
            tokens = packer(*inputs.values())
            expected = {
                **encoder.signatures[of](**_taken(encoder.signatures[of], tokens)),
                **{name: tokens[name] for name in RETURNED},
            }
            returned = loaded.signatures[signature](**inputs)
            for name, value in expected.items():
                if name not in returned or not np.allclose(returned[name], value, atol=1e-6):
                    found[f"signature {signature}: {name} is not what the tensor export returns for its tokens"] = None
    return tuple(found)


def write_preprocessor(tokenization: Tokenization, length: int, folder: Path) -> None:
    """Saves a preprocessor with Hub's text API into `folder`, by Model Garden's own exporter. Raises WriteError."""
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
    written: Cleared, tokenization: Tokenization, length: int, texts: Sequence[str]
) -> tuple[str, ...]:
    """Differences between a reloaded preprocessor and the layers of which it was made, one line each."""
    packer = Packer(tokenization, length)
    strings = tf.constant(list(texts))
    wanted = packer(strings)
    longest = wanted[MASK].shape[1]
    with loaded_objects(written) as loaded:
        found = loaded(strings)
    return tuple(
        f"{name} is not what Model Garden's layers return"
        for name in TOKEN_INPUTS
        if found[name].shape[1] != length or not np.array_equal(found[name][:, :longest], wanted[name])
    )
