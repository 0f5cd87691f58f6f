"""An export's signatures in TensorFlow: tf.saved_model.load, then model.signatures[name].

As the reference ("plain") nothing rewrites the graph: no grappler. oneDNN is left out by who starts it.
"""

import functools
import sys

import tensorflow as tf
import tensorflow_text  # noqa: F401  registers the operations of text exports
from exchange import Arrays, Opened, Request, Signature, answer

load = functools.cache(tf.saved_model.load)


def open_signature(request: Request, signature: Signature) -> Opened:
    function = load(request.export).signatures[signature.name]

    def run(inputs: Arrays) -> Arrays:
        found = function(**{key: tf.constant(value) for key, value in inputs.items()})
        return {key: value.numpy() for key, value in found.items()}

    return Opened(run)


if __name__ == "__main__":
    if "plain" in sys.argv[3:]:
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    answer(open_signature, f"TensorFlow {tf.__version__}")
