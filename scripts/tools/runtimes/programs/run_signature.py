"""An export's signatures in TensorFlow: tf.saved_model.load, then model.signatures[name].

For the reference ("plain"), grappler is off, so that nothing rewrites the graph; the process that starts this one turns
off oneDNN. With the name of a precision, weights are rounded to it first; everything is still computed in float32.
"""

import functools
import sys
from typing import Any

import tensorflow as tf
import tensorflow_text  # noqa: F401  registers the operations of text exports

from scripts.tools.runtimes.programs.exchange import Arrays, Opened, Request, Signature, answer

PRECISIONS = ("bfloat16", "float16")


@functools.cache
def load(export: str) -> Any:
    """The export, loaded once, with its weights rounded if a precision is named."""
    model = tf.saved_model.load(export)
    for precision in set(PRECISIONS).intersection(sys.argv[3:]):
        variables = {v.ref(): v for function in model.signatures.values() for v in function.variables}
        for variable in variables.values():
            if variable.dtype == tf.float32:
                variable.assign(tf.cast(tf.cast(variable, precision), tf.float32))
    return model


def open_signature(request: Request, signature: Signature) -> Opened:
    """The signature's function in the loaded export."""
    function = load(request.export).signatures[signature.name]

    def run(inputs: Arrays) -> Arrays:
        found = function(**{key: tf.constant(value) for key, value in inputs.items()})
        return {key: value.numpy() for key, value in found.items()}

    return Opened(run=run)


if __name__ == "__main__":
    if "plain" in sys.argv[3:]:
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    answer(open_signature, f"TensorFlow {tf.__version__}")
