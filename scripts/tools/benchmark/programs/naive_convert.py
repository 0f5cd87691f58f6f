"""naive_convert.py MODULE DESTINATION: the conversion as one would write it by hand, for comparison.

It knows only one kind of module: a dict call, and the variable names of the present Model Garden. It loads the module,
builds the Model Garden encoder anew, copies the weights by name, saves a SavedModel that returns every block output,
reloads it, and compares the block outputs on a single batch. It prints the seconds of every step, then the total and
the peak memory of the process.
"""

import resource
import sys
import time
from typing import Any

STARTED = time.perf_counter()
INPUTS = ("input_word_ids", "input_mask", "input_type_ids")


class Laps:
    """Prints the seconds since the previous step."""

    def __init__(self, start: float) -> None:
        self.last = start

    def __call__(self, step: str) -> None:
        now = time.perf_counter()
        print(f"{step:28s} {now - self.last:7.2f} s", flush=True)
        self.last = now


def build_encoder(weights: dict[str, Any]) -> Any:
    """Build the encoder, with sizes from the shapes of the weights."""
    import tf_keras
    from official.nlp.modeling import networks

    vocab_size, hidden_size = weights["word_embeddings/embeddings:0"].shape
    return networks.BertEncoder(
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        num_layers=sum(name.endswith("self_attention/query/kernel:0") for name in weights),
        num_attention_heads=weights["transformer/layer_0/self_attention/query/kernel:0"].shape[1],
        inner_dim=weights["transformer/layer_0/intermediate/kernel:0"].shape[1],
        type_vocab_size=weights["type_embeddings/embeddings:0"].shape[0],
        max_sequence_length=weights["position_embedding/embeddings:0"].shape[0],
        inner_activation=lambda x: tf_keras.activations.gelu(x, approximate=True),
        dict_outputs=True,
    )


def save(encoder: Any, destination: str) -> None:
    """Save the encoder with a signature that returns every block output."""
    import tensorflow as tf

    def serve(inputs: dict[str, Any]) -> dict[str, Any]:
        outputs = encoder(inputs, training=False)
        named = {key: outputs[key] for key in ("pooled_output", "sequence_output")}
        for index, tensor in enumerate(outputs["encoder_outputs"]):
            named[f"encoder_outputs_{index}"] = tensor
        return named

    root = tf.Module()
    root.encoder = encoder
    root.serve = tf.function(
        serve, input_signature=[{n: tf.TensorSpec([None, None], tf.int32, name=n) for n in INPUTS}]
    )
    tf.saved_model.save(root, destination, signatures={"serving_default": root.serve})


def worst_difference(module: Any, served: Any, vocab_size: int) -> float:
    """Return the largest absolute difference of any block output on one batch."""
    import tensorflow as tf

    ids = tf.constant([[101, 7, 8, 9, 102, 0, 0], [101, 5, 102, 6, 102, 11, 12]]) % vocab_size
    mask = tf.constant([[1, 1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1, 1]])
    batch = dict(zip(INPUTS, (ids, mask, tf.zeros_like(ids)), strict=True))
    expected, found = module(batch, training=False), served(**batch)
    return max(
        float(tf.reduce_max(tf.abs(tensor - found[f"encoder_outputs_{index}"])))
        for index, tensor in enumerate(expected["encoder_outputs"])
    )


def main(source: str, destination: str) -> None:
    """Convert a module, step by step."""
    lap = Laps(STARTED)
    import tensorflow as tf
    import tf_keras  # noqa: F401
    from official.nlp.modeling import networks  # noqa: F401

    lap("import")
    module = tf.saved_model.load(source)
    lap("load source")
    weights = {variable.name: variable for variable in module.variables}
    encoder = build_encoder(weights)
    lap("build encoder")
    for variable in encoder.variables:
        variable.assign(weights[variable.name])
    lap("copy weights")
    save(encoder, destination)
    lap("trace and save")
    served = tf.saved_model.load(destination).signatures["serving_default"]
    lap("reload")
    worst = worst_difference(module, served, weights["word_embeddings/embeddings:0"].shape[0])
    lap("compare")
    print(f"max abs error {worst:.2e}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"total {time.perf_counter() - STARTED:.2f} s, peak RSS {peak:.0f} MiB")


if __name__ == "__main__":
    main(*sys.argv[1:3])
