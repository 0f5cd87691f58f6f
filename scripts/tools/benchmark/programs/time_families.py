"""time_families.py TURNS: print the milliseconds of each family's encoder in both forms of its graph, as JSON.

The encoders have random weights and the published sizes of a block, with four blocks each. All sides run by turns in
one process, and return all block outputs.
"""

import importlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import surgery.tf  # noqa: F401  sets what TensorFlow reads when it is imported

SHAPES = ((1, 16), (1, 128), (8, 128))
SIDES = ("fused", "model_garden", "model_garden again")
WIDE = {"hidden_size": 768, "num_attention_heads": 12, "max_sequence_length": 512, "type_vocab_size": 2}
WORDS, BLOCKS, INNER = 1000, 4, 3072


def gelu(x: Any) -> Any:
    """GELU's approximation, which every family but MobileBERT has."""
    from surgery.tf.activations import ACTIVATIONS

    return ACTIVATIONS["gelu_tanh"](x)


def talking_heads() -> dict[str, Any]:
    """The arguments of a scaffold whose blocks have talking heads and gated feed-forwards."""
    import tf_keras
    from official.nlp.modeling import layers

    scaffold = [
        layers.TransformerScaffold(
            num_attention_heads=12,
            inner_dim=INNER,
            inner_activation=gelu,
            attention_cls=layers.TalkingHeadsAttention,
            feedforward_cls=layers.GatedFeedforward,
        )
        for _ in range(BLOCKS)
    ]
    embedding = {"vocab_size": WORDS, "type_vocab_size": 2, "hidden_size": 768, "max_seq_length": 512}
    return {
        "pooled_output_dim": 768,
        "num_hidden_instances": BLOCKS,
        "dict_outputs": True,
        "embedding_cfg": {**embedding, "initializer": tf_keras.initializers.RandomNormal(), "dropout_rate": 0.1},
        "hidden_cls": scaffold,
    }


COMMON = {"vocab_size": WORDS, "num_layers": BLOCKS, **WIDE}
BERT = {**COMMON, "inner_dim": INNER, "inner_activation": gelu}
ARGUMENTS: dict[str, Callable[[], dict[str, Any]]] = {
    "bert": lambda: BERT,
    "albert": lambda: {**COMMON, "intermediate_size": INNER, "activation": gelu, "dict_outputs": True},
    "mobilebert": lambda: {"word_vocab_size": WORDS, "num_blocks": BLOCKS},
    "distilbert": lambda: {name: value for name, value in BERT.items() if name != "type_vocab_size"},
    "roberta": lambda: {**BERT, "pad_token_id": 0},
    "talking_heads": talking_heads,
}
"""Functions that return the arguments of each family's network."""


def encoders() -> Iterator[tuple[str, Any, Any]]:
    """Each family's name, its recipe, and a network that is built."""
    import tensorflow as tf

    from surgery.families import FAMILIES

    for family in FAMILIES:
        module, _, name = family.encoder.network.partition(":")
        network = getattr(importlib.import_module(module), name)(**ARGUMENTS[family.name]())
        network({anchor.name: tf.zeros([1, 1], tf.int32) for anchor in family.inputs})
        yield family.name, family, network


def compiled(family: Any, network: Any, form: str) -> Callable[..., Any]:
    """A function of the family's inputs, each int32 [batch, seq], that returns all block outputs."""
    import tensorflow as tf

    from surgery.tf.fused import fused
    from surgery.tf.layers import layers_at
    from surgery.tf.token_rows import TokenRows

    names = [anchor.name for anchor in family.inputs]

    def run(*inputs: Any) -> Any:
        given = dict(zip(names, inputs, strict=True))
        if form != "fused":
            return network(given, training=False)["encoder_outputs"]
        blocks = layers_at(network, family.encoder.blocks)
        with fused(network, blocks, TokenRows(given["input_mask"], packed=False)):
            return network(given, training=False)["encoder_outputs"]

    made: Callable[..., Any] = tf.function(
        run, input_signature=[tf.TensorSpec([None, None], tf.int32)] * len(names), autograph=False
    )
    return made


def measure(turns: int) -> dict[str, dict[str, list[float]]]:
    """The milliseconds of each side, by family and shape."""
    import tensorflow as tf

    found: dict[str, dict[str, list[float]]] = {}
    for name, family, network in encoders():
        functions = {side: compiled(family, network, side.partition(" ")[0]) for side in SIDES}
        for rows, length in SHAPES:
            inputs = [tf.ones([rows, length], tf.int32)] * len(family.inputs)
            for function in functions.values():
                function(*inputs)
            samples = found.setdefault(f"{name}, {rows} x {length}", {side: [] for side in SIDES})
            for _ in range(turns):
                for side, function in functions.items():
                    started = time.perf_counter()
                    function(*inputs)
                    samples[side].append(1000 * (time.perf_counter() - started))
    return found


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))
