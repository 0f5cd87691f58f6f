"""An export in LiteRT (TensorFlow Lite): TFLiteConverter converts one signature at a time, which runs by its keys.

A signature that needs more than LiteRT's own operations is converted once more with TensorFlow's ("select TF ops"), to
find out whether an app that links them could run it. No interpreter for Python links them, not even TensorFlow 2.20's.
"""

import importlib.metadata
import re

import tensorflow as tf
import tensorflow_text  # noqa: F401  registers the operations of text exports
from ai_edge_litert.interpreter import Interpreter

from scripts.tools.runtimes.programs.exchange import Arrays, CannotLoad, Opened, Request, Signature, answer, one_line


def open_signature(request: Request, signature: Signature) -> Opened:
    """Converts a signature and opens it in LiteRT's interpreter. Raises CannotLoad when it does not convert."""
    converter = tf.lite.TFLiteConverter.from_saved_model(request.export, signature_keys=[signature.name])
    try:
        model = converter.convert()
    except Exception as error:
        raise CannotLoad(why(converter, error)) from error
    interpreter = Interpreter(model_content=model)
    runner = interpreter.get_signature_runner(signature.name)

    def run(inputs: Arrays) -> Arrays:
        # The runner resizes tensors of dynamic sizes, and its outputs are views of memory that it uses again.
        return {key: value.copy() for key, value in runner(**inputs).items()}

    return Opened(run=run)


def why(converter: tf.lite.TFLiteConverter, error: Exception) -> str:
    """Why a model does not convert: the operations that LiteRT lacks, and whether select TF ops would suffice."""
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    try:
        converter.convert()
    except Exception as still:
        return f"no LiteRT operation for {missing(still)}, not even with select TF ops"
    return f"no LiteRT operation for {missing(error)}: needs select TF ops, which Python's interpreters lack"


def missing(error: Exception) -> str:
    """The missing operations that the converter's message names; the rest of the message is the whole graph."""
    found = re.findall(r"'tf\.([^']+)' op is neither a custom op nor a flex op", str(error))
    return ", ".join(dict.fromkeys(found)) or one_line(error)


if __name__ == "__main__":
    answer(open_signature, f"LiteRT {importlib.metadata.version('ai-edge-litert')}")
