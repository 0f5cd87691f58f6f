"""An export in OpenVINO, read without conversion. OpenVINO only reads `serving_default`: others come as copies.

Without an argument it computes at the precision that it chooses for this processor; "f32" sets
INFERENCE_PRECISION_HINT.
"""

import functools
import re
import sys

import openvino

from scripts.tools.runtimes.programs.exchange import Arrays, CannotLoad, Opened, Request, Signature, answer, one_line

PRECISIONS = {"f32": "float32", "float": "float32", "bf16": "bfloat16", "f16": "float16"}
"""Names of dtypes as in numpy and TensorFlow, by OpenVINO's names."""

core = functools.cache(openvino.Core)


def open_signature(request: Request, signature: Signature) -> Opened:
    """Compiles a signature's copy for the CPU. Raises CannotLoad when OpenVINO cannot convert it."""
    hint = {"INFERENCE_PRECISION_HINT": "f32"} if "f32" in sys.argv[3:] else {}
    try:
        compiled = core().compile_model(signature.alone, "CPU", hint)
    except RuntimeError as error:
        found = re.search(r"No conversion rule found for operations: (.*)", str(error))
        raise CannotLoad(f"no conversion rule for {found[1]}" if found else one_line(error)) from error
    name = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()

    def run(inputs: Arrays) -> Arrays:
        results = compiled(dict(inputs))
        return {name: results[port] for port in compiled.outputs for name in port.get_names()}

    return Opened(run=run, precision=PRECISIONS.get(name, name))


if __name__ == "__main__":
    answer(open_signature, f"OpenVINO {openvino.__version__.partition('-')[0]}")
