"""Models around a BERT as an Estimator of TensorFlow 1 exports them for serving: a graph, signatures, no calls.

Variables and scopes are named as google-research/bert and google-research/albert name them; `tf.estimator` itself left
TensorFlow in 2.16. The graph is written here by hand, in google-research's order of operations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import tensorflow as tf

from .common import random_value

v1 = tf.compat.v1
VOCAB, POSITIONS, TYPES, HIDDEN, HEADS, INNER, BLOCKS, EMBEDDING = 90, 40, 3, 32, 4, 48, 2, 12
LENGTH, LABELS = 12, 3
RATES = {
    "embedding_dropout": 0.1,
    "attention_probs_dropout": 0.05,
    "attention_output_dropout": 0.1,
    "output_dropout": 0.1,
}
"""What was used in training. The exported graph does not show it, and the code has no other dropout."""

Outputs = Mapping[str, tf.Tensor]


def build(
    folder: Path,
    head: str = "softmax",
    *,
    resources: bool = False,
    rows: int | None = None,
    length: int | None = LENGTH,
    scope: str = "",
    serialized: bool = False,
    albert: bool = False,
    mask_of_ids: bool = False,
    training: bool = False,
    encoders: int = 1,
    seed: int = 1,
) -> Path:
    """Writes a SavedModel.

    Args:
        folder: Where to write it.
        head: A name of HEADS_OF.
        resources: Resource variables instead of reference variables.
        rows: A fixed number of rows.
        length: The number of tokens; None for any.
        scope: The scope of the encoder, which ends with a slash.
        serialized: Serialized examples as the input, instead of tensors.
        albert: ALBERT with two applications of one block, instead of BERT.
        mask_of_ids: Makes the mask of the word ids, where they are not 0.
        training: Leaves slots of the optimiser, the step, and an input for labels beside.
        encoders: How many encoders the graph has; each further one is in a scope of its own.
        seed: Of the weights.
    """
    with tf.Graph().as_default(), v1.variable_scope("", use_resource=resources, reuse=v1.AUTO_REUSE):
        given = _examples(length) if serialized else _tokens(rows, length)
        ids, mask, types = given["input_ids"], given["input_mask"], given["segment_ids"]
        if mask_of_ids:
            mask = tf.cast(tf.not_equal(ids, 0), tf.int32)
        for number in range(encoders):
            own = f"other_{number}/" if number else scope
            with v1.variable_scope(own.rstrip("/"), reuse=v1.AUTO_REUSE) if own else _nothing():
                sequence, pooled = encoder(ids, mask, types, albert=albert)
        outputs = HEADS_OF[head](sequence, pooled)
        inputs = {"examples": given["examples"]} if serialized else {"input_ids": ids, **_rest(given, mask_of_ids)}
        if training:
            inputs["label_ids"] = v1.placeholder(tf.int32, [rows], "label_ids")
            for variable in v1.trainable_variables():
                for slot in ("adam_m", "adam_v"):
                    name = f"{variable.name.partition(':')[0]}/{slot}"
                    v1.get_variable(name, variable.shape, trainable=False)
            v1.get_variable("global_step", initializer=tf.constant(700, tf.int64), trainable=False)
        signatures = {"serving_default": v1.saved_model.predict_signature_def(inputs, outputs)}
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            randomise(session, seed)
            builder = v1.saved_model.Builder(str(folder))
            builder.add_meta_graph_and_variables(session, ["serve"], signature_def_map=signatures)
            builder.save()
    return folder


def randomise(session: v1.Session, seed: int) -> None:
    """Gives every trainable variable of the session's graph its `random_value`."""
    for variable in v1.trainable_variables():
        name = variable.name.partition(":")[0]
        variable.load(random_value(_leaf(name), tuple(variable.shape), seed + len(name)), session)


def _leaf(name: str) -> str:
    """The name by which a value is drawn: a head's bias is drawn like a bias."""
    return name.replace("output_bias", "output/bias")


class _nothing:
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def _tokens(rows: int | None, length: int | None) -> dict[str, tf.Tensor]:
    names = ("input_ids", "input_mask", "segment_ids")
    return {name: v1.placeholder(tf.int32, [rows, length], name) for name in names}


def _rest(given: Mapping[str, tf.Tensor], mask_of_ids: bool) -> dict[str, tf.Tensor]:
    return {name: given[name] for name in ("input_mask", "segment_ids") if name != "input_mask" or not mask_of_ids}


def _examples(length: int | None) -> dict[str, tf.Tensor]:
    examples = v1.placeholder(tf.string, [None], "examples")
    features = {n: tf.io.FixedLenFeature([length], tf.int64) for n in ("input_ids", "input_mask", "segment_ids")}
    parsed = {name: tf.cast(value, tf.int32) for name, value in v1.parse_example(examples, features).items()}
    return {"examples": examples, **parsed}


def encoder(
    ids: tf.Tensor,
    mask: tf.Tensor,
    types: tf.Tensor,
    *,
    albert: bool = False,
    scope: str = "bert",
    blocks: int = BLOCKS,
    pooler: Callable[[tf.Tensor], tf.Tensor] = tf.tanh,
) -> tuple[tf.Tensor, tf.Tensor]:
    """The sequence output and the pooled output, which the activation `pooler` gives."""
    width = EMBEDDING if albert else HIDDEN
    batch, length = _sizes(ids)
    with v1.variable_scope(scope):
        with v1.variable_scope("embeddings"):
            words = tf.gather(_variable("word_embeddings", VOCAB, width), tf.expand_dims(ids, -1))
            embedded = tf.reshape(words, [batch, length, width])
            rows = tf.one_hot(tf.reshape(types, [-1]), TYPES)
            kinds = tf.matmul(rows, _variable("token_type_embeddings", TYPES, width))
            embedded += tf.reshape(kinds, [batch, length, width])
            embedded += tf.slice(_variable("position_embeddings", POSITIONS, width), [0, 0], [length, -1])
            embedded = _norm(embedded, "LayerNorm")
        with v1.variable_scope("encoder"):
            ones = tf.ones([batch, length, 1], tf.float32)
            adder = (1.0 - ones * tf.cast(tf.reshape(mask, [batch, 1, length]), tf.float32)) * -10000.0
            flat = tf.reshape(embedded, [-1, width])
            if albert:
                flat = _dense(flat, "embedding_hidden_mapping_in", width, HIDDEN)
            for number in range(blocks):
                place = "transformer/group_0/inner_group_0" if albert else f"layer_{number}"
                with v1.variable_scope(place, reuse=v1.AUTO_REUSE):
                    flat = _block(flat, tf.expand_dims(adder, 1), batch, length, albert=albert)
            sequence = tf.reshape(flat, [batch, length, HIDDEN])
        with v1.variable_scope("pooler"):
            first = tf.squeeze(sequence[:, 0:1, :], axis=1)
            pooled = pooler(_dense(first, "dense", HIDDEN, HIDDEN))
    return sequence, pooled


def gelu(x: tf.Tensor) -> tf.Tensor:
    """As google-research's code has it since 2019."""
    return x * 0.5 * (1.0 + tf.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * tf.pow(x, 3))))


def _block(x: tf.Tensor, adder: tf.Tensor, batch: object, length: object, *, albert: bool) -> tf.Tensor:
    names = ALBERT_NAMES if albert else BERT_NAMES
    size = HIDDEN // HEADS

    def split(name: str) -> tf.Tensor:
        flat = _dense(x, f"{names['attention']}/self/{name}", HIDDEN, HIDDEN)
        return tf.transpose(tf.reshape(flat, [batch, length, HEADS, size]), [0, 2, 1, 3])

    query, key, value = (split(name) for name in ("query", "key", "value"))
    scores = tf.multiply(tf.matmul(query, key, transpose_b=True), 1.0 / math.sqrt(size)) + adder
    context = tf.transpose(tf.matmul(tf.nn.softmax(scores), value), [0, 2, 1, 3])
    context = tf.reshape(context, [-1, HIDDEN])
    attended = _dense(context, f"{names['attention']}/output/dense", HIDDEN, HIDDEN)
    attended = _norm(attended + x, names["attention_norm"])
    inner = gelu(_dense(attended, names["inner"], HIDDEN, INNER))
    return _norm(_dense(inner, names["outer"], INNER, HIDDEN) + attended, names["output_norm"])


BERT_NAMES = {
    "attention": "attention",
    "attention_norm": "attention/output/LayerNorm",
    "inner": "intermediate/dense",
    "outer": "output/dense",
    "output_norm": "output/LayerNorm",
}
ALBERT_NAMES = {
    "attention": "attention_1",
    "attention_norm": "LayerNorm",
    "inner": "ffn_1/intermediate/dense",
    "outer": "ffn_1/intermediate/output/dense",
    "output_norm": "LayerNorm_1",
}


def _sizes(ids: tf.Tensor) -> list[object]:
    """The sizes of both axes: numbers where they are fixed, else tensors."""
    free = tf.shape(ids)
    return [size if size is not None else free[axis] for axis, size in enumerate(ids.shape.as_list())]


def _variable(name: str, *shape: int) -> tf.Tensor:
    return tf.convert_to_tensor(v1.get_variable(name, shape))


def _dense(x: tf.Tensor, name: str, into: int, out: int) -> tf.Tensor:
    return tf.nn.bias_add(tf.matmul(x, _variable(f"{name}/kernel", into, out)), _variable(f"{name}/bias", out))


def _norm(x: tf.Tensor, name: str) -> tf.Tensor:
    mean, variance = tf.nn.moments(x, [-1], keepdims=True)
    gamma, beta = (_variable(f"{name}/{leaf}", x.shape[-1]) for leaf in ("gamma", "beta"))
    return tf.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-12)


def _logits(x: tf.Tensor) -> tf.Tensor:
    """As run_classifier.py has them: the kernel is [labels, hidden]."""
    product = tf.matmul(x, _variable("output_weights", LABELS, HIDDEN), transpose_b=True)
    return tf.nn.bias_add(product, _variable("output_bias", LABELS))


def _softmax(sequence: tf.Tensor, pooled: tf.Tensor) -> Outputs:
    logits = _logits(pooled)
    return {"probabilities": tf.nn.softmax(logits), "label": tf.argmax(logits, -1)}


def _dense_layer(sequence: tf.Tensor, pooled: tf.Tensor) -> Outputs:
    """As tf.layers.dense has it: the kernel is [hidden, labels], and here square."""
    logits = _dense(pooled, "loss/project", HIDDEN, HIDDEN)
    return {"scores": logits, "each": tf.sigmoid(logits), "log": tf.nn.log_softmax(logits)}


def _no_bias(sequence: tf.Tensor, pooled: tf.Tensor) -> Outputs:
    return {"logits": tf.matmul(pooled, _variable("output_weights", HIDDEN, LABELS))}


def _two_layers(sequence: tf.Tensor, pooled: tf.Tensor) -> Outputs:
    hidden = tf.nn.relu(_dense(pooled, "hidden", HIDDEN, HIDDEN))
    return {"probabilities": tf.nn.softmax(_dense(hidden, "project", HIDDEN, LABELS))}


def _labels_of_tokens(sequence: tf.Tensor, pooled: tf.Tensor) -> Outputs:
    """As for named entities: a label for each token. Nothing is done with the pooled output."""
    logits = tf.reshape(_logits(tf.reshape(sequence, [-1, HIDDEN])), [-1, *sequence.shape[1:2], LABELS])
    return {"predictions": tf.nn.softmax(logits)}


HEADS_OF: dict[str, Callable[[tf.Tensor, tf.Tensor], Outputs]] = {
    "softmax": _softmax,
    "dense": _dense_layer,
    "no_bias": _no_bias,
    "two_layers": _two_layers,
    "tokens": _labels_of_tokens,
    "none": lambda sequence, pooled: {"pooled": pooled, "states": sequence},
}
"""What is made of the sequence output and the pooled output, by name."""
