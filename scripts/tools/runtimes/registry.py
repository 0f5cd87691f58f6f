"""The runtimes: how each is started, and whether an export must load there."""

from __future__ import annotations

from dataclasses import dataclass

from scripts.tools.runtimes.differences import Tolerance


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """A runtime, which is a row of the table.

    Attributes:
        name: Its name on the command line.
        title: Its name in the table.
        program: Its program, a file of the folder `programs`.
        environment: An environment of scripts/tools/environments; None for the checkout's own.
        arguments: Arguments of the program.
        must_load: True if an export that does not load there is broken.
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
    Runtime(name="xla", title="TensorFlow, XLA", program="run_xla.py"),
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
"""The signatures in TensorFlow, with every operation as it is in the graph: no grappler, no oneDNN."""

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
"""The reference with rounded weights. It shows the error that a precision causes in any runtime."""

FLOAT32 = Tolerance(atol=2e-5, rtol=2e-5)
"""The tolerance in float32. Other runtimes fuse and reorder operations, and cannot be run in double precision."""

TIMES_ROUNDED, TIMES_ROUNDING = 4, 16
"""The tolerance below float32. An output may be off by TIMES_ROUNDED times the change that rounding the weights alone
causes (1.5 times was measured on four blocks), and by TIMES_ROUNDING roundings of its RMS, because intermediate values
are rounded, too."""

EXACT = Tolerance(atol=0.0, rtol=0.0)
"""For outputs that are integers, at any precision."""
