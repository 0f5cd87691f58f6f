"""The cost and gain of TensorFlow Serving's flag `--mixed_precision=bfloat16`, as a measurement on one processor.

The flag is the session option `auto_mixed_precision_onednn_bfloat16` of TensorFlow's graph optimiser
(tensorflow_serving/servables/tensorflow/saved_model_bundle_factory.cc). The optimiser lets matrix products, and most of
the operations between them, read and write bfloat16, which has 8 significant bits where float32 has 24.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from surgery.tfserving.processor import BFLOAT16, Processor

PRECISION = "bfloat16"
FLAG = f"--mixed_precision={PRECISION}"


@dataclass(frozen=True, kw_only=True)
class OutputErrors:
    """The largest absolute errors of an output against float64.

    Attributes:
        output: The output's key.
        rms: The root mean square of its values in float64.
        float32: The error of the signature as it is.
        bfloat16: The error with mixed precision.
    """

    output: str
    rms: float
    float32: float
    bfloat16: float


@dataclass(frozen=True, kw_only=True)
class SignatureCost:
    """What mixed precision does to a signature.

    Attributes:
        signature: The signature's name.
        errors: The errors of its outputs of floating point.
        unknown: The reason why an output has no errors, by output.
        products: The number of matrix products after optimisation.
        products_in_bfloat16: The number of them that read bfloat16.
        milliseconds: The times of the signature as it is. Those with mixed precision were taken by turns with them.
        milliseconds_again: As `milliseconds`, taken once more in each turn: they show the noise.
        milliseconds_bfloat16: The times with mixed precision.
    """

    signature: str
    errors: tuple[OutputErrors, ...]
    unknown: Mapping[str, str]
    products: int
    products_in_bfloat16: int
    milliseconds: tuple[float, ...]
    milliseconds_again: tuple[float, ...]
    milliseconds_bfloat16: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """The time with mixed precision, divided by the time without: the median of the turns."""
        return _ratio(self.milliseconds_bfloat16, self.milliseconds)

    @property
    def noise(self) -> float:
        """The same ratio of the signature and itself."""
        return _ratio(self.milliseconds_again, self.milliseconds)


@dataclass(frozen=True, kw_only=True)
class MixedPrecision:
    """The measurement, or the reason why there is none.

    Attributes:
        processor: This machine's processor.
        unknown: The reason why nothing can be said here; empty where it was measured.
        signatures: The measured signatures.
    """

    processor: Processor
    unknown: str = ""
    signatures: tuple[SignatureCost, ...] = ()


def cannot_tell(processor: Processor) -> str:
    """Why a processor does not show what the flag costs and gains; empty for one that has the instructions."""
    if processor.bfloat16:
        return ""
    wanted = " nor ".join(BFLOAT16)
    if processor.flags is None:
        return f"cannot tell: this system does not list the processor's instructions, so {wanted} are not known"
    name = processor.name or "it"
    return (
        f"cannot tell: the processor of this machine ({name}) has neither {wanted}. Without them {PRECISION} is "
        "emulated or not used at all, so neither its errors nor its times would be those of a server that has them"
    )


def cost_of(data: Mapping[str, Any]) -> SignatureCost:
    """A signature's cost from the data of another process (`dataclasses.asdict` as JSON)."""
    times = ("milliseconds", "milliseconds_again", "milliseconds_bfloat16")
    errors = tuple(OutputErrors(**row) for row in data["errors"])
    return SignatureCost(**{**data, **{name: tuple(data[name]) for name in times}, "errors": errors})


def _ratio(left: tuple[float, ...], right: tuple[float, ...]) -> float:
    return statistics.median(a / b for a, b in zip(left, right, strict=True))
