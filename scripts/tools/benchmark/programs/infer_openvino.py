"""infer_openvino.py FOLDER VOCABULARY: `serving_default` of a SavedModel in OpenVINO, in float32."""

import os
import sys
import time
from typing import Any

from scripts.tools.benchmark.programs.worker import Arrays, Call, Model, Signature, serve


def load() -> Model:
    """Read and compile the SavedModel that the command line names."""
    import openvino

    started = time.perf_counter()
    options = {
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": len(os.sched_getaffinity(0)),
    }
    compiled = openvino.Core().compile_model(sys.argv[1], "CPU", options)
    seconds = time.perf_counter() - started
    request = compiled.create_infer_request()

    def prepare(inputs: Arrays) -> Call:
        return lambda: request.infer(dict(inputs), share_inputs=True, share_outputs=True)

    def arrays(outputs: Any) -> Arrays:
        return {name: outputs[port] for port in compiled.outputs for name in port.get_names()}

    return Model(
        version=f"OpenVINO {openvino.__version__.partition('-')[0]}",
        load=seconds,
        vocabulary=int(sys.argv[2]),
        signatures={"serving_default": Signature(prepare=prepare, arrays=arrays)},
    )


if __name__ == "__main__":
    serve(load)
