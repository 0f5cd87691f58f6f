"""An export's own call in TensorFlow, as Keras code and tensorflow_hub use it: from a dict to a dict with lists.

The call returns the outputs of `serving_default` and `taps`, with lists in place of numbered keys. Features, depths and
sub-models are signatures of their own, which the call does not have. A text export has no call. Signatures whose rows
of padding are zeros return something else than the call.
"""

import functools
from typing import Any

import numpy as np
import tensorflow as tf

from scripts.tools.runtimes.programs.exchange import Arrays, Opened, Request, Signature, answer

load = functools.cache(tf.saved_model.load)
CALLED = ("serving_default", "taps")


def open_signature(request: Request, signature: Signature) -> Opened | None:
    """The export's call, with the outputs that the signature also has; None for a signature without a call."""
    if signature.name not in CALLED or "input_word_ids" not in signature.inputs or signature.name in request.zeroed:
        return None
    model = load(request.export)

    def run(inputs: Arrays) -> Arrays:
        found = model({key: tf.constant(value) for key, value in inputs.items()}, training=False)
        return {name: value for name, value in named(found, request.lists).items() if name in signature.outputs}

    return Opened(run=run)


def named(outputs: dict[str, Any], order: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The items of lists under the keys of signatures: the n-th item has the n-th key of its name in the manifest."""
    flat = {}
    for key, value in outputs.items():
        if not isinstance(value, list | tuple):
            flat[key] = value.numpy()
            continue
        keys = [name for name in order if name.rpartition("_")[0] == key]
        if len(keys) != len(value):  # serving_default may have been asked for some blocks only
            keys = [f"{key}_{number}" for number in range(len(value))]
        flat |= {name: item.numpy() for name, item in zip(keys, value, strict=True)}
    return flat


if __name__ == "__main__":
    answer(open_signature, f"TensorFlow {tf.__version__}")
