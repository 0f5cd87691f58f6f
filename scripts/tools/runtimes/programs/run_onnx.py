"""An export in ONNX Runtime. tf2onnx's own command converts one signature at a time."""

import sys
from unittest import mock

import onnxruntime
import tensorflow as tf
import tf2onnx.convert

from scripts.tools.runtimes.programs.exchange import Arrays, Opened, Request, Signature, answer, answer_folder

OPSET = "17"


def open_signature(request: Request, signature: Signature) -> Opened:
    """Converts a signature to ONNX and opens it in a session of ONNX Runtime."""
    file = answer_folder() / "model.onnx"
    options = {
        "--saved-model": request.export,
        "--signature_def": signature.name,
        "--opset": OPSET,
        "--output": str(file),
    }
    command = ["tf2onnx", *(word for option in options.items() for word in option)]
    with mock.patch.object(sys, "argv", command):
        tf2onnx.convert.main()
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    file.unlink()
    names = [output.name for output in session.get_outputs()]

    def run(inputs: Arrays) -> Arrays:
        return dict(zip(names, session.run(names, dict(inputs)), strict=True))

    return Opened(run=run)


if __name__ == "__main__":
    answer(
        open_signature,
        f"ONNX Runtime {onnxruntime.__version__} (tf2onnx {tf2onnx.__version__}, TensorFlow {tf.__version__})",
    )
