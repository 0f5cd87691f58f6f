"""An export in a v1 Session, as in TensorFlow Serving: tensors are fed and fetched by the names in the signature."""

import functools
from typing import Any

import tensorflow as tf
import tensorflow_text  # noqa: F401  registers the operations of text exports

from scripts.tools.runtimes.programs.exchange import Arrays, Opened, Request, Signature, answer

v1 = tf.compat.v1


@functools.cache
def load(export: str) -> Any:
    """A v1 Session with the export, loaded once."""
    session = v1.Session(graph=tf.Graph())
    with session.graph.as_default():
        v1.saved_model.load(session, ["serve"], export)
    return session


def open_signature(request: Request, signature: Signature) -> Opened:
    """The signature's outputs in the session of the export."""
    session = load(request.export)

    def run(inputs: Arrays) -> Arrays:
        # A session takes Python's strings, but not numpy's.
        feeds = {
            signature.inputs[key]: value.astype(object) if value.dtype.kind == "U" else value
            for key, value in inputs.items()
        }
        found: Arrays = session.run(signature.outputs, feeds)
        return found

    return Opened(run=run)


if __name__ == "__main__":
    answer(open_signature, f"TensorFlow {tf.__version__}")
