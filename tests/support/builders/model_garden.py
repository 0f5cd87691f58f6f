"""A BERT module as Model Garden's export_tfhub tool writes it today, with random weights.

The dict form takes `{input_word_ids, input_mask, input_type_ids}`, each int32 [batch, seq], and returns
`{pooled_output [batch, H], sequence_output [batch, seq, H], encoder_outputs: list of the same, default}`.
The list form takes the three as a list and returns `[pooled_output, sequence_output]`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import tensorflow as tf
import tf_keras
from official.nlp.modeling import models, networks

from .common import randomise, write_vocab

INPUT_NAMES = ("input_word_ids", "input_mask", "input_type_ids")
ACTIVATIONS = {
    "gelu_tanh": lambda x: tf_keras.activations.gelu(x, approximate=True),
    "gelu_exact": lambda x: tf_keras.activations.gelu(x, approximate=False),
    "relu": tf_keras.activations.relu,
}


def set_epsilon(encoder: tf_keras.Model, epsilon: float) -> None:
    """Change every LayerNorm of `encoder`; functions traced afterwards use the new value.

    From 1.001e-5 up, Keras normalises through a fused batch norm op: the graph then has no `batchnorm/add/y`.
    """
    norms = [encoder._embedding_norm_layer]
    for block in encoder.transformer_layers:
        norms += [block._attention_layer_norm, block._output_layer_norm]
    for norm in norms:
        norm.epsilon = epsilon


def dict_model(network: tf_keras.Model, encoder_outputs: bool, name: str, default: bool) -> tf_keras.Model:
    """`network` called on a dict of its inputs, keyed by name; `default` repeats the pooled output."""
    inputs = {tensor.name: tensor for tensor in network.inputs}
    outputs = dict(network(inputs))
    if default:
        outputs["default"] = outputs["pooled_output"]
    if not encoder_outputs:
        del outputs["encoder_outputs"]
    return tf_keras.Model(inputs, outputs, name=name)


def list_model(encoder: tf_keras.Model) -> tf_keras.Model:
    """`encoder` called on a list of three; returns `[pooled_output, sequence_output]`."""
    inputs = [tf_keras.Input((None,), dtype=tf.int32, name=name) for name in INPUT_NAMES]
    outputs = encoder({tensor.name: tensor for tensor in inputs})
    return tf_keras.Model(inputs, [outputs["pooled_output"], outputs["sequence_output"]], name="model")


def build_module(
    path: str | Path,
    *,
    seed: int = 0,
    call: str = "dict",
    num_layers: int = 3,
    hidden: int = 48,
    heads: int = 4,
    inner: int = 120,
    vocab: int = 300,
    positions: int = 40,
    types: int = 2,
    embedding_width: int | None = None,
    activation: str = "gelu_tanh",
    epsilon: float = 1e-12,
    output_dropout: float = 0.1,
    attention_dropout: float = 0.1,
    mlm: bool = False,
    encoder_outputs: bool = True,
    lower_case: bool = True,
    with_vocab: bool = True,
) -> Path:
    """Write the module into the folder `path` and return it.

    `mlm` adds the `.mlm` object, which takes `masked_lm_positions` [batch, predictions] too and adds
    `mlm_logits` [batch, predictions, V]. `encoder_outputs=False` leaves that key out of the reply.
    """
    if call not in ("dict", "list") or (call == "list" and mlm):
        raise ValueError(f"no module with call={call!r} and mlm={mlm}")
    tf.random.set_seed(seed)
    function = ACTIVATIONS[activation]
    encoder = networks.BertEncoder(
        vocab_size=vocab,
        hidden_size=hidden,
        num_layers=num_layers,
        num_attention_heads=heads,
        max_sequence_length=positions,
        type_vocab_size=types,
        inner_dim=inner,
        inner_activation=function,
        output_dropout=output_dropout,
        attention_dropout=attention_dropout,
        embedding_width=embedding_width,
        dict_outputs=True,
        name="bert_encoder",
    )
    set_epsilon(encoder, epsilon)
    model = list_model(encoder) if call == "list" else dict_model(encoder, encoder_outputs, name="model", default=True)
    weights = list(model.variables)
    if mlm:
        pretrainer = models.BertPretrainerV2(encoder_network=encoder, mlm_activation=function, name="bert")
        mlm_model = dict_model(pretrainer, encoder_outputs, name="model_1", default=False)
        pretrainer.masked_lm.layer_norm.epsilon = epsilon
        weights = list(mlm_model.variables)
        model._auto_track_sub_layers = False  # keeps the head's weights out of the encoder's own variables
        model.mlm = mlm_model
    randomise(weights, seed)
    with tempfile.TemporaryDirectory() as folder:
        if with_vocab:
            model.vocab_file = tf.saved_model.Asset(str(write_vocab(Path(folder), vocab)))
            model.do_lower_case = tf.Variable(lower_case, trainable=False)
        model.save(str(path), include_optimizer=False, save_format="tf")
    return Path(path)
