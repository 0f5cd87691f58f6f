"""infer_tensorflow.py FOLDER VOCABULARY [source]: the signatures of a SavedModel in TensorFlow.

The outputs of the source's signatures have no names that mean anything, so the source's call records the reference.
"""

import sys
import time
from typing import Any

import numpy as np

from scripts.tools.benchmark.programs.worker import MEAN, Arrays, Call, Model, Signature, serve


def load() -> Model:
    """Load the SavedModel that the command line names."""
    import tensorflow as tf

    folder, is_source = sys.argv[1], "source" in sys.argv[3:]
    started = time.perf_counter()
    model = tf.saved_model.load(folder)
    seconds = time.perf_counter() - started

    def signature(name: str) -> Signature:
        function = model.signatures[name]

        def prepare(inputs: Arrays) -> Call:
            batch = {key: tf.constant(value) for key, value in inputs.items()}
            return lambda: function(**batch)

        outputs = tuple(function.structured_outputs)
        return Signature(prepare=prepare, arrays=arrays, outputs=None if name == "serving_default" else outputs)

    def record(inputs: Arrays) -> Arrays:
        outputs = model({key: tf.constant(value) for key, value in inputs.items()}, training=False)
        found = {name: outputs[name].numpy() for name in ("sequence_output", "pooled_output")}
        found.update({f"encoder_outputs_{n}": block.numpy() for n, block in enumerate(outputs["encoder_outputs"])})
        mask = inputs["input_mask"][:, :, None]
        return {**found, MEAN: (found["sequence_output"] * mask).sum(1) / mask.sum(1)}

    names = [name for name in model.signatures if not name.startswith("__")]
    return Model(
        version=f"TensorFlow {tf.__version__}",
        load=seconds,
        vocabulary=int(sys.argv[2]),
        signatures={name: signature(name) for name in names},
        record=record if is_source else None,
    )


def arrays(outputs: Any) -> Arrays:
    """Return the outputs of a signature as arrays."""
    return {name: np.asarray(value) for name, value in outputs.items()}


if __name__ == "__main__":
    serve(load)
