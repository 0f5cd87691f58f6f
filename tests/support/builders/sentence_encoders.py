"""Google's BERTs for sentences, MuRIL and its experts: each made by its own recipe, small and with random weights.

LaBSE: Model Garden's exporter (tensorflow/models, official/projects/labse/export_tfhub.py) wraps the encoder in a
DualEncoder for predictions, which normalises the pooled output. The modules google/LaBSE/1 and /2 on TF Hub are plain
encoders (their pages normalise what they return), so that other samples stand for them.

MuRIL and the experts: the encoder exporter (official/nlp/tools/export_tfhub_lib.py), as their pages on TF Hub say. An
expert's pooler was replaced by an identity matrix before it was exported (tfhub.dev, google/experts/bert/…/2).

LEALLA: a TF1 module with the signature `default` alone, from texts to vectors. Its tokenizer runs text by text in a
loop, on a BERT in the scope `student_bert` (setu4993/convert-labse-tf-pt) whose pooler has GELU by tanh and whose
output is normalised (ilDon/zotero-semantic-search, tools/reference_model.py and tf_oracle.py, which agrees with the
module). It is deep and narrow: 24 blocks of 128 to 256 values.

The samples lie packed in tests/modules, because building them takes longer than all that the tests do with them.
`python -m tests.support.builders.sentence_encoders FOLDER` writes the archives anew.
"""

from __future__ import annotations

import os
import sys
import tarfile
import tempfile
from pathlib import Path

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import numpy as np
import tensorflow as tf
from official.legacy.bert import bert_models, configs
from official.nlp.modeling import models
from official.nlp.tools import export_tfhub_lib

from . import estimators
from .common import randomise, write_vocab

v1 = tf.compat.v1
VOCAB = 200
LENGTH = 12
"""Tokens of a text in the graph of LEALLA's sample; the module has 128."""


def _config(**changes: int) -> configs.BertConfig:
    sizes = {
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": 40,
        "type_vocab_size": 2,
    }
    return configs.BertConfig(VOCAB, **{**sizes, **changes})


def build_labse(path: Path, *, seed: int = 11) -> Path:
    """A module whose pooled output is normalised. The call takes a list and returns a dict of two outputs."""
    encoder = bert_models.get_transformer_encoder(_config(), sequence_length=None)
    model = models.DualEncoder(network=encoder, max_seq_length=None, normalize=True, output="predictions")
    randomise(model.variables, seed)
    with tempfile.TemporaryDirectory() as folder:
        model.vocab_file = tf.saved_model.Asset(str(write_vocab(Path(folder), VOCAB)))
        model.do_lower_case = tf.Variable(False, trainable=False)
        model.save(str(path), include_optimizer=False, save_format="tf")
    return path


def build_muril(path: Path) -> Path:
    """A cased module of the encoder exporter, from the checkpoint of a pretrainer."""
    return _exported(path, seed=12, lower_case=False, with_mlm=True)


def build_expert(path: Path) -> Path:
    """An uncased module whose pooler is the identity and then tanh."""
    return _exported(path, seed=13, lower_case=True, with_mlm=False, identity_pooler=True)


def _exported(path: Path, *, seed: int, lower_case: bool, with_mlm: bool, identity_pooler: bool = False) -> Path:
    encoder = export_tfhub_lib.get_bert_encoder(_config())
    pretrainer = models.BertPretrainerV2(encoder_network=encoder)
    pretrainer({tensor.name: tensor for tensor in pretrainer.inputs})  # creates the masked-LM head's weights
    randomise(pretrainer.variables, seed)
    if identity_pooler:
        width = encoder.pooler_layer.units
        encoder.pooler_layer.set_weights([np.eye(width, dtype=np.float32), np.zeros(width, np.float32)])
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = tf.train.Checkpoint(**(pretrainer.checkpoint_items if with_mlm else {"encoder": encoder}))
        export_tfhub_lib.export_model(
            str(path),
            bert_config=_config(),
            model_checkpoint_path=checkpoint.save(f"{folder}/model"),
            with_mlm=with_mlm,
            vocab_file=str(write_vocab(Path(folder), VOCAB)),
            do_lower_case=lower_case,
        )
    return path


def build_lealla(path: Path, *, seed: int = 14) -> Path:
    """A TF1 module from texts, string [texts], to vectors, float32 [texts, 32], of the length 1."""
    with tempfile.TemporaryDirectory() as folder, tf.Graph().as_default(), v1.variable_scope("", use_resource=True):
        vocabulary = v1.constant(str(write_vocab(Path(folder), estimators.VOCAB)), name="vocab_file")
        v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, vocabulary)
        texts = v1.placeholder(tf.string, [None], "source_raw")
        ids = _token_ids(texts, vocabulary)
        mask = tf.cast(tf.not_equal(ids, 0), tf.int32)
        _, pooled = estimators.encoder(
            ids, mask, tf.zeros_like(ids), scope="student_bert", blocks=5, pooler=estimators.gelu
        )
        vectors = tf.math.l2_normalize(pooled, axis=-1)
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            estimators.randomise(session, seed)
            builder = v1.saved_model.Builder(str(path))
            builder.add_meta_graph_and_variables(
                session,
                [],
                {"default": v1.saved_model.predict_signature_def({"source_raw": texts}, {"default": vectors})},
                assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
                main_op=v1.tables_initializer(),
            )
            builder.save()
    (path / "tfhub_module.pb").write_bytes(b"\x08\x03")
    return path


def _token_ids(texts: tf.Tensor, vocabulary: tf.Tensor) -> tf.Tensor:
    """int32 [texts, LENGTH]: WordPieces of each text between [CLS] and [SEP], padded."""
    import tensorflow_text as text

    lines, key, value = tf.lookup.TextFileIndex, tf.string, tf.int64
    initializer = tf.lookup.TextFileInitializer(vocabulary, key, lines.WHOLE_LINE, value, lines.LINE_NUMBER)
    table = tf.lookup.StaticVocabularyTable(initializer, num_oov_buckets=1)
    words = text.UnicodeScriptTokenizer()
    pieces = text.WordpieceTokenizer(table, token_out_type=tf.int64)

    def ids_of(one: tf.Tensor) -> tf.Tensor:
        cleaned = tf.strings.regex_replace(one, r"\p{Cc}|\p{Cf}", "")
        found = pieces.tokenize(words.tokenize(cleaned[None])).flat_values[: LENGTH - 2]
        whole = tf.concat([[2], found, [3]], axis=0)
        return tf.cast(tf.pad(whole, [[0, LENGTH - tf.size(whole)]]), tf.int32)

    ids = tf.map_fn(ids_of, texts, fn_output_signature=tf.TensorSpec([LENGTH], tf.int32))
    return tf.ensure_shape(ids, [None, LENGTH])


BUILDERS = {"labse": build_labse, "muril": build_muril, "expert": build_expert, "lealla": build_lealla}

if __name__ == "__main__":
    for sample, build in BUILDERS.items():
        with tempfile.TemporaryDirectory() as made, tarfile.open(f"{sys.argv[1]}/{sample}.tar.gz", "w:gz") as archive:
            for found in sorted(build(Path(made) / sample).iterdir()):
                archive.add(found, found.name)
