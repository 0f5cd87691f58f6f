"""infer_onnx.py FILE VOCABULARY: a model in ONNX Runtime."""

import os
import sys
import time
from typing import Any

from scripts.tools.benchmark.programs.worker import Arrays, Call, Model, Signature, serve


def load() -> Model:
    """Open the file that the command line names."""
    import onnxruntime

    started = time.perf_counter()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
    seconds = time.perf_counter() - started
    names = [output.name for output in session.get_outputs()]

    def prepare(inputs: Arrays) -> Call:
        return lambda: session.run(names, dict(inputs))

    def arrays(outputs: Any) -> Arrays:
        return dict(zip(names, outputs, strict=True))

    return Model(
        version=f"ONNX Runtime {onnxruntime.__version__}",
        load=seconds,
        vocabulary=int(sys.argv[2]),
        signatures={"serving_default": Signature(prepare=prepare, arrays=arrays)},
    )


if __name__ == "__main__":
    serve(load)
