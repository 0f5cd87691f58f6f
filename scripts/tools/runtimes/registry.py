"""The runtimes that are known here: how each is started, and what is expected of it."""

from __future__ import annotations

from dataclasses import dataclass

from surgery.proof.parity import Tolerance


@dataclass(frozen=True)
class Runtime:
    """A row of the table.

    `program`: a file of the folder `programs`. `environment`: one of scripts/tools/environments, or None for the
    checkout's own. `arguments`: what the program is started with. `must_load`: an export that does not load there is
    broken.
    """

    name: str
    title: str
    program: str
    environment: str | None = None
    arguments: tuple[str, ...] = ()
    must_load: bool = False


RUNTIMES = (
    Runtime("call", "TensorFlow, call", "run_call.py", must_load=True),
    Runtime("signature", "TensorFlow, signature", "run_signature.py", must_load=True),
    Runtime("session", "v1 Session", "run_session.py", must_load=True),
    Runtime("c", "C API", "run_c_api.py"),
    Runtime("openvino", "OpenVINO, its default", "run_openvino.py", "openvino"),
    Runtime("openvino-f32", "OpenVINO, f32 hint", "run_openvino.py", "openvino", ("f32",)),
    Runtime("litert", "LiteRT", "run_litert.py"),
    Runtime("onnx", "ONNX Runtime", "run_onnx.py", "onnx"),
)

REFERENCE = Runtime("reference", "reference", "run_signature.py", arguments=("plain",), must_load=True)
"""The signatures in TensorFlow with every operation as it stands in the graph: no grappler, no oneDNN."""

BELOW_FLOAT32 = {"bfloat16": 2**-8, "float16": 2**-11}
"""Precisions with their largest relative error of rounding one number."""

ROUNDED = {
    precision: Runtime(f"reference-{precision}", f"reference, {precision} weights", "run_signature.py", None, words)
    for precision in BELOW_FLOAT32
    for words in [("plain", precision)]
}
"""The reference with its weights rounded: what this precision costs a model, whatever computes it."""

FLOAT32 = Tolerance()
"""As surgery verifies."""

TIMES_ROUNDED, TIMES_ROUNDING = 4, 16
"""What is allowed below float32: an output may be this often as far off as rounding the weights alone moves it (1.5
times was measured on four blocks), and besides by this many roundings of its RMS, for what is rounded on the way."""

EXACT = Tolerance(atol=0.0, rtol=0.0)
"""For outputs that are integers, at any precision."""
