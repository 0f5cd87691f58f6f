"""An export's signatures in TensorFlow, compiled by XLA: tf.function(signature, jit_compile=True).

XLA compiles for one shape at a time. Where a shape depends on values, as the number of tokens that are no padding does,
it computes with the largest that it can have.
"""

import re

import tensorflow as tf
import tensorflow_text  # noqa: F401  registers the operations of text exports

from scripts.tools.runtimes.programs.exchange import Arrays, CannotLoad, Opened, Request, Signature, answer
from scripts.tools.runtimes.programs.run_signature import load


def open_signature(request: Request, signature: Signature) -> Opened:
    """The signature's function, to be compiled when it runs."""
    function = load(request.export).signatures[signature.name]
    compiled = tf.function(lambda inputs: function(**inputs), jit_compile=True, autograph=False)

    def run(inputs: Arrays) -> Arrays:
        try:
            found = compiled({key: tf.constant(value) for key, value in inputs.items()})
        except tf.errors.OpError as error:
            raise CannotLoad(re.sub(r"\s*\[Op:.*", "", error.message, flags=re.DOTALL)) from error
        return {key: value.numpy() for key, value in found.items()}

    return Opened(run=run)


if __name__ == "__main__":
    answer(open_signature, f"TensorFlow {tf.__version__}")
