"""The verdict on whether two functions are the same: the values that a comparison gives, and their tolerance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from surgery.plain import plain


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """The bound on an output's largest error, `atol + rtol * RMS(expected)`.

    Attributes:
        atol: The absolute part.
        rtol: The part relative to the RMS of the expected tensor.
    """

    atol: float = 2e-5
    rtol: float = 2e-5

    @classmethod
    def of(cls, atol: float | None, rtol: float | None) -> Tolerance:
        """A tolerance with these bounds; None stands for the default."""
        return cls(atol=cls.atol if atol is None else atol, rtol=cls.rtol if rtol is None else rtol)


@dataclass(frozen=True, kw_only=True)
class OutputDiff:
    """The comparison of one output over the whole battery.

    Attributes:
        name: The output's name.
        batches: Number of batches in which it was compared.
        max_abs: The largest absolute error.
        relative: The largest error divided by the RMS of its expected tensor.
        bit_equal: True if all bits are equal, except in rows of nothing but padding.
        nonfinite: Numbers of NaN and infinite values on the expected and on the other side.
        padding_rows: The largest error in rows of nothing but padding; None where there are no such rows.
        worst_batch: Label of the batch with the largest error.
        passed: Whether the output passes.
        problem: What else is wrong, such as another shape; "" if nothing is.
    """

    name: str
    batches: int
    max_abs: float
    relative: float
    bit_equal: bool
    nonfinite: tuple[int, int]
    padding_rows: float | None
    worst_batch: str
    passed: bool
    problem: str = ""


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


@dataclass(frozen=True, kw_only=True)
class ParityReport:
    """The verdict of a comparison and everything that it depends on.

    Attributes:
        reference: The origin of the expected outputs, as a phrase for people.
        tolerance: The tolerance.
        batches: Number of batches of the battery.
        outputs: The comparison of each output, in the order of computation.
        weights: The comparison of the weights.
        contract: Other differences, one line each: files, signatures, hyperparameters, flags, calls.
        nonfinite_weights: Number of NaN and infinite values by variable of the module, where they are allowed.
        inner: Outputs that the module's call does not return, which were compared with tensors inside its graph.
        unmatched: Outputs for which the module's graph has no such tensor. They are not verified.
    """

    reference: str
    tolerance: Tolerance
    batches: int
    outputs: tuple[OutputDiff, ...]
    weights: WeightCheck
    contract: tuple[str, ...] = field(default=())
    nonfinite_weights: Mapping[str, int] = field(default_factory=dict)
    inner: tuple[str, ...] = ()
    unmatched: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every output passes, all weights are bit-equal, and nothing else differs."""
        return all(diff.passed for diff in self.outputs) and self.weights.passed and not self.contract

    @property
    def first_divergence(self) -> OutputDiff | None:
        """The first output that fails, in the order in which the encoder computes them."""
        return next((diff for diff in self.outputs if not diff.passed), None)

    def failure(self) -> str:
        """The failures, as lines for people; empty when nothing failed."""
        lines = []
        diff = self.first_divergence
        if diff is not None:
            failed = [d.name for d in self.outputs if not d.passed]
            lines.append(
                f"{len(failed)} of {len(self.outputs)} outputs differ; the first to diverge is {diff.name}: "
                + (
                    diff.problem
                    or f"max abs error {diff.max_abs:.3g} ({diff.relative:.3g} of its RMS), {diff.worst_batch}"
                )
            )
        lines += [f"weight {line}" for line in self.weights.mismatches[:6]]
        if len(self.weights.mismatches) > 6:
            lines.append(f"… and {len(self.weights.mismatches) - 6} more weights")
        return "\n  ".join([*lines, *self.contract])


def report_data(report: ParityReport) -> dict[str, Any]:
    """A parity report and its verdict as JSON-ready data."""
    data: dict[str, Any] = {"passed": report.passed, **plain(report)}
    data["weights"]["passed"] = report.weights.passed
    return data
