"""The verdict on whether two functions are the same: the values that a comparison gives, and their bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from surgery.plain import plain
from surgery.results import Result

MAX_DIFFERENCE = 1e-10
"""The largest difference in double precision, as a part of the output's RMS. Equal functions differ by 1e-13."""
ERROR_FACTOR = 4
"""How many times the module's own float32 error an export's may be, besides ROUNDINGS."""
ROUNDINGS = 16
"""How many roundings of the output's RMS an export's float32 error may be, besides ERROR_FACTOR times the module's."""
ROUNDING = 2.0**-24
"""The largest relative error of rounding a number to float32."""
FLOAT32_ATOL = FLOAT32_RTOL = 2e-5
"""The bounds for outputs that cannot be computed in double precision: an absolute one, and one relative to the RMS."""


@dataclass(frozen=True, kw_only=True)
class OutputDiff:
    """The comparison of one output over the whole battery.

    Attributes:
        name: The output's name.
        batches: Number of batches in which it was compared.
        in_double: True if it was compared in double precision; False if an operation has no kernel for it.
        difference: The largest difference in double precision, divided by the RMS of the expected tensor.
        max_abs: The largest absolute difference, in double precision if it was compared so, else in float32.
        module_error: The module's own error in float32 against float64, root mean square over the battery; None where
            it was not run in float32.
        export_error: The same of the export.
        rms: The root mean square of the output over the batches that were run in float32.
        max_error: The largest error of an element of the export in float32.
        worst_error: Label of the batch with that element.
        bit_equal: True if both sides' bits in float32 are equal, except in rows of nothing but padding; None where
            the output was not run in float32.
        nonfinite: Numbers of NaN and infinite values, on the expected and on the other side.
        padding_rows: The largest difference in rows of nothing but padding, in double precision or in float32; None
            where there are no such rows.
        worst_batch: Label of the batch with the largest difference.
        passed: Whether the output passes.
        problem: What else is wrong, such as another shape; "" if nothing is.
    """

    name: str
    batches: int
    in_double: bool
    difference: float
    max_abs: float
    module_error: float | None
    export_error: float | None
    rms: float
    max_error: float
    worst_error: str
    bit_equal: bool | None
    nonfinite: tuple[int, int]
    padding_rows: float | None
    worst_batch: str
    passed: bool
    problem: str = ""

    @property
    def failure(self) -> str:
        """What is wrong with it, for people."""
        by = f"by {self.difference:.3g} of its RMS in double precision, {self.worst_batch}"
        return self.problem or by


def of_rms(error: float | None, rms: float | None) -> float | None:
    """An error as a part of the output's RMS; the error itself where that is 0. None where there is no error."""
    return error / rms if error is not None and rms else error


@dataclass(frozen=True, kw_only=True)
class WeightCheck:
    """The comparison of the export's weights with the module's, bit for bit.

    Attributes:
        compared: Number of weights that were compared.
        mismatches: One line per weight that differs or is missing.
    """

    compared: int
    mismatches: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether all weights are bit-equal."""
        return not self.mismatches


def compare_weights(expected: Mapping[str, str], found: Mapping[str, str]) -> WeightCheck:
    """Compares SHA-256 of weights, by target."""
    mismatches = []
    for target, digest in expected.items():
        if target not in found:
            mismatches.append(f"{target}: missing in the export")
        elif found[target] != digest:
            mismatches.append(f"{target}: its bits differ from the module's")
    return WeightCheck(compared=len(expected), mismatches=tuple(mismatches))


@dataclass(frozen=True, kw_only=True, repr=False)
class ParityReport(Result, report="parity"):
    """The verdict of a comparison and everything that it depends on.

    Attributes:
        reference: The origin of the expected outputs, as a phrase for people.
        batches: Number of batches of the battery.
        float32_batches: Number of batches that were run in float32, too.
        outputs: The comparison of each output, in the order of computation.
        weights: The comparison of the weights.
        contract: Other differences, one line each: files, signatures, hyperparameters, flags, calls.
        nonfinite_weights: Number of NaN and infinite values by variable of the module, where they are allowed.
        inner: Outputs that the module's call does not return, which were compared with tensors inside its graph.
        unmatched: Outputs for which the module's graph has no such tensor. They are not verified.
        formulas: Formulas whose float32 roundings in the graphs were replaced by their exact values in double.
        lacking: The types of operations without a kernel for double precision, by the output that needs them. Such
            outputs are judged in float32 only.
        blocks: The number of the block to which an output belongs, by output: its own output, and its sublayers'.
    """

    reference: str
    batches: int
    float32_batches: int
    outputs: tuple[OutputDiff, ...]
    weights: WeightCheck
    contract: tuple[str, ...] = field(default=())
    nonfinite_weights: Mapping[str, int] = field(default_factory=dict)
    inner: tuple[str, ...] = ()
    unmatched: tuple[str, ...] = ()
    formulas: tuple[str, ...] = ()
    lacking: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    blocks: Mapping[str, int] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether outputs were compared and all pass, all weights are bit-equal, and nothing else differs."""
        compared = bool(self.outputs) and all(diff.passed for diff in self.outputs)
        return compared and self.weights.passed and not self.contract

    @property
    def first_divergence(self) -> OutputDiff | None:
        """The first output that fails, in the order in which the encoder computes them."""
        return next((diff for diff in self.outputs if not diff.passed), None)

    def failure(self) -> str:
        """The failures, as lines for people, the first of each kind; empty when nothing failed."""
        lines = [] if self.outputs else ["no output was compared"]
        diff = self.first_divergence
        if diff is not None:
            failed = [d.name for d in self.outputs if not d.passed]
            lines.append(
                f"{len(failed)} of {len(self.outputs)} outputs differ; the first to diverge is {diff.name}: "
                + diff.failure
            )
        lines += [f"weight {line}" for line in self.weights.mismatches[:6]]
        if len(self.weights.mismatches) > 6:
            lines.append(f"… and {len(self.weights.mismatches) - 6} more weights")
        lines += self.contract[:LISTED]
        if len(self.contract) > LISTED:
            lines.append(f"… and {len(self.contract) - LISTED} more differences")
        return "\n  ".join(lines)


LISTED = 12
"""Lines of one kind that are shown of a failure. An export of another encoder has hundreds."""

BOUNDS = {
    "difference": MAX_DIFFERENCE,
    "error_factor": ERROR_FACTOR,
    "error_of_rms": ROUNDINGS * ROUNDING,
    "float32_absolute": FLOAT32_ATOL,
    "float32_of_rms": FLOAT32_RTOL,
}
"""The bounds above by the keys of the JSON of a report."""


def report_data(report: ParityReport) -> dict[str, Any]:
    """A parity report, its verdict, and the bounds by which it judges, as JSON-ready data."""
    data: dict[str, Any] = {"passed": report.passed, **plain(report)}
    data["weights"]["passed"] = report.weights.passed
    data["bounds"] = dict(BOUNDS)
    return data
