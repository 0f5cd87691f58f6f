"""Flags of TensorFlow Serving for speed and memory, by what they mean for an export.

XLA: the server refuses to compile unless a flag allows it (tensorflow_serving/model_servers/main.cc). A function that
demands compilation then fails with "XLA compilation disabled".
"""

from __future__ import annotations

from collections.abc import Iterator

from surgery.tfserving.mixed_precision import FLAG as MIXED_PRECISION
from surgery.tfserving.mixed_precision import PRECISION
from surgery.tfserving.served import Served
from surgery.wording import size

XLA = {"CPU": "--xla_cpu_compilation_enabled", "GPU": "--xla_gpu_compilation_enabled"}
CLUSTERING = "TF_XLA_FLAGS='--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit'"
MEMORY = "--per_process_gpu_memory_fraction"
WARMUP_TWICE = "--num_request_iterations_for_warmup=2"
"""TensorFlow compiles most shapes when they come for the second time (DeviceCompilationProfiler in tensorflow)."""
GROWTH = "TF_FORCE_GPU_ALLOW_GROWTH=true"


def flags(served: Served) -> dict[str, str]:
    """What flags of the server, and variables of its environment, mean for an export: a text by each as it is typed."""
    return {
        MIXED_PRECISION: (
            f"computes matrix products on the CPU in {PRECISION}, which is faster only where it has avx512_bf16 or "
            f"amx_bf16. That is another function than the export's: surgery serving --mixed-precision {PRECISION} "
            "measures its errors and times. What runs on a GPU stays in float32"
        ),
        XLA["CPU"]: _allowed(served),
        XLA["GPU"]: f"allows XLA as {XLA['CPU']} does, which is then not needed; for a server with a GPU",
        CLUSTERING: ". ".join(_clusters(served)),
        f"{MEMORY}=0.5": (
            "bounds the server to half of a GPU's memory; without a bound it takes nearly all when it starts. The "
            f"weights of this export are {size(served.weight_bytes)}, once per version that is served"
        ),
        GROWTH: "in the server's environment: it takes a GPU's memory as it needs it",
    }


def _allowed(served: Served) -> str:
    if not served.compiled:
        return "allows XLA, and changes nothing by itself: no function of this export demands it (jit_compile=True)"
    names = ", ".join(served.compiled[:3]) + (", …" if len(served.compiled) > 3 else "")
    return (
        f"is needed: functions of this export demand XLA ({names}). Without it, requests to them fail with 'XLA "
        "compilation disabled'"
    )


def _clusters(served: Served) -> Iterator[str]:
    yield (
        "in the server's environment, with one of the flags above: TensorFlow chooses operations and compiles them, "
        "which changes numbers in their last bits"
    )
    if any(signature.ragged for signature in served.signatures):
        yield (
            f"Each batch size and length is compiled on its own while a client waits, at its first or second request: "
            f"pad to a few lengths, and warm them up with {WARMUP_TWICE}"
        )
    elif any(signature.batched for signature in served.signatures):
        yield (
            "Each batch size is compiled on its own while a client waits, at its first or second request: warm them up "
            f"with {WARMUP_TWICE}"
        )
    if packed := [signature.name for signature in served.signatures if signature.zeros is not None]:
        yield (
            f"In {', '.join(packed)} the number of rows depends on the mask. XLA needs fixed shapes and makes room for "
            "every position, so that leaving padding out saves nothing"
        )
    if any(tensor.dtype == "string" for s in served.signatures for tensor in s.signature.inputs):
        yield "Operations on strings are not compiled: texts are tokenized as before"
