"""The runtimes that are known here: how each is started, and what is expected of it."""

from __future__ import annotations

from dataclasses import dataclass

from surgery.proof.parity import Tolerance


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """A row of the table.

    `name`: as people type it.
    `title`: as the table shows it.
    `program`: a file of the folder `programs`.
    `environment`: one of scripts/tools/environments, or None for the checkout's own.
    `arguments`: what the program is started with.
    `must_load`: an export that does not load there is broken.
    """

    name: str
    title: str
    program: str
    environment: str | None = None
    arguments: tuple[str, ...] = ()
    must_load: bool = False


RUNTIMES = (
    Runtime(name="call", title="TensorFlow, call", program="run_call.py", must_load=True),
    Runtime(name="signature", title="TensorFlow, signature", program="run_signature.py", must_load=True),
    Runtime(name="session", title="v1 Session", program="run_session.py", must_load=True),
    Runtime(name="c", title="C API", program="run_c_api.py"),
    Runtime(name="openvino", title="OpenVINO, its default", program="run_openvino.py", environment="openvino"),
    Runtime(
        name="openvino-f32",
        title="OpenVINO, f32 hint",
        program="run_openvino.py",
        environment="openvino",
        arguments=("f32",),
    ),
    Runtime(name="litert", title="LiteRT", program="run_litert.py"),
    Runtime(name="onnx", title="ONNX Runtime", program="run_onnx.py", environment="onnx"),
)

REFERENCE = Runtime(
    name="reference", title="reference", program="run_signature.py", arguments=("plain",), must_load=True
)
"""The signatures in TensorFlow with every operation as it stands in the graph: no grappler, no oneDNN."""

BELOW_FLOAT32 = {"bfloat16": 2**-8, "float16": 2**-11}
"""Precisions with their largest relative error of rounding one number."""

ROUNDED = {
    precision: Runtime(
        name=f"reference-{precision}",
        title=f"reference, {precision} weights",
        program="run_signature.py",
        arguments=("plain", precision),
    )
    for precision in BELOW_FLOAT32
}
"""The reference with its weights rounded: what this precision costs a model, whatever computes it."""

FLOAT32 = Tolerance()
"""As surgery verifies."""

TIMES_ROUNDED, TIMES_ROUNDING = 4, 16
"""What is allowed below float32: an output may be this often as far off as rounding the weights alone moves it (1.5
times was measured on four blocks), and besides by this many roundings of its RMS, for what is rounded on the way."""

EXACT = Tolerance(atol=0.0, rtol=0.0)
"""For outputs that are integers, at any precision."""
