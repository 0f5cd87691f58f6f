"""Compares the outputs of a runtime with the reference: the names that exist or are lost, and each output's error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scripts.tools.runtimes.differences import Difference, Tolerance, compare
from scripts.tools.runtimes.processes import Answer
from scripts.tools.runtimes.programs.exchange import Arrays, Request, Signature, read_outputs
from scripts.tools.runtimes.registry import BELOW_FLOAT32, EXACT, FLOAT32, TIMES_ROUNDED, TIMES_ROUNDING, Runtime

Outputs = Mapping[str, Sequence[Arrays]]
"""Outputs by signature: for each batch, by name."""


@dataclass(frozen=True, kw_only=True)
class SignatureResult:
    """One signature in one runtime.

    Attributes:
        name: The signature's name.
        loads: Whether it loads and runs.
        expected: The outputs that it should return.
        reason: Why it does not load.
        note: A remark of the program that ran it.
        precision: The precision with which the runtime says that it computes.
        diffs: The comparison of each output that exists.
        lost: The expected outputs that do not exist.
        others: Names that the runtime has and the signature does not, with the lost output of the same values or "".
    """

    name: str
    loads: bool
    expected: tuple[str, ...]
    reason: str = ""
    note: str = ""
    precision: str = ""
    diffs: tuple[Difference, ...] = ()
    lost: tuple[str, ...] = ()
    others: Mapping[str, str] | None = None

    @property
    def wrong(self) -> tuple[Difference, ...]:
        """The outputs that fail."""
        return tuple(diff for diff in self.diffs if not diff.passed)


@dataclass(frozen=True, kw_only=True)
class Result:
    """The results of an export in one runtime.

    Attributes:
        runtime: The runtime.
        version: The runtime's version.
        signatures: The results by signature.
        failure: Why there is no result of any signature; "" if there is one.
        ran: False if the runtime could not be tried.
    """

    runtime: Runtime
    version: str
    signatures: tuple[SignatureResult, ...]
    failure: str = ""
    ran: bool = True

    @property
    def loaded(self) -> tuple[SignatureResult, ...]:
        """The signatures that load and run."""
        return tuple(signature for signature in self.signatures if signature.loads)

    @property
    def concerned(self) -> bool:
        """False if this runtime does not apply to this export, such as a call to a text export."""
        return bool(self.signatures or self.failure)

    @property
    def worst(self) -> Difference | None:
        """The output that is furthest off, relative to its RMS. NaN and outputs of another shape come first."""
        diffs = [diff for signature in self.signatures for diff in signature.diffs]
        return max(diffs, key=lambda diff: (bool(diff.problem), diff.relative), default=None)

    @property
    def faults(self) -> list[str]:
        """The faults, one line each: wrong numbers, lost names, or not loading where an export must load."""
        lines = []
        for signature in self.signatures:
            wrong = signature.wrong
            if wrong:
                worst = max(wrong, key=lambda diff: (bool(diff.problem), diff.relative))
                far = worst.problem or f"is off by {worst.max_abs:.2g}, {worst.relative:.2g} of its RMS"
                lines.append(f"{signature.name}: {len(wrong)} of {len(signature.diffs)} outputs; {worst.name} {far}")
            lines += [f"{signature.name}: {name} is lost" for name in signature.lost]
        if self.runtime.must_load and self.concerned:
            lines += [f"{s.name}: does not load" for s in self.signatures if not s.loads]
            lines += [self.failure] if self.failure else []
        return lines


def judge(
    runtime: Runtime,
    answer: Answer,
    request: Request,
    reference: Outputs,
    rounded: Mapping[str, Outputs],
) -> Result:
    """Compares an answer with the reference's outputs.

    `rounded` holds the outputs of the reference with rounded weights, by precision.
    """
    judged = [
        _judge_signature(signature, answer, request, reference, rounded)
        for signature in request.signatures
        if signature.name in answer.signatures
    ]
    return Result(
        runtime=runtime,
        version=answer.version,
        signatures=tuple(judged),
        failure=answer.failure,
        ran=answer.ran,
    )


def _judge_signature(
    signature: Signature, answer: Answer, request: Request, reference: Outputs, rounded: Mapping[str, Outputs]
) -> SignatureResult:
    outcome, wanted = answer.signatures[signature.name], reference[signature.name]
    if not outcome["loads"]:
        return SignatureResult(
            name=signature.name, loads=False, expected=tuple(signature.outputs), reason=outcome["reason"]
        )
    found = read_outputs(answer.folder, signature.name, len(request.batches))
    expected, precision = tuple(outcome["expects"]), outcome["precision"]
    lost = tuple(name for name in expected if any(name not in outputs for outputs in found))
    diffs: list[Difference] = []
    for name in expected:
        if name in lost:
            continue
        bound = _tolerance(name, wanted, precision, rounded.get(precision, {}).get(signature.name))
        diffs.append(compare(name, request.batches, wanted, found, bound))
    others = {
        other: next((name for name in lost if _same(wanted, found, name, other)), "")
        for other in sorted(found[0].keys() - signature.outputs.keys())
    }
    return SignatureResult(
        name=signature.name,
        loads=True,
        expected=expected,
        note=outcome["note"],
        precision=precision,
        diffs=tuple(diffs),
        lost=lost,
        others=others,
    )


def _tolerance(name: str, wanted: Sequence[Arrays], precision: str, rounded: Sequence[Arrays] | None) -> Tolerance:
    """The tolerance of an output.

    It is exact for integers, and surgery's own for float32. Below float32 it depends on the change of the output when
    the weights are rounded.
    """
    if wanted[0][name].dtype.kind != "f":
        return EXACT
    if rounded is None:
        return FLOAT32
    moved = max(float(np.max(np.abs(a[name] - b[name]))) for a, b in zip(wanted, rounded, strict=True))
    return Tolerance(atol=TIMES_ROUNDED * moved, rtol=TIMES_ROUNDING * BELOW_FLOAT32[precision])


def _same(wanted: Sequence[Arrays], found: Sequence[Arrays], name: str, other: str) -> bool:
    """Whether a runtime's output `other` is the lost output `name`: it differs by less than a tenth of its RMS."""
    left, right = wanted[0][name], found[0][other]
    rms = float(np.sqrt(np.mean(np.square(left, dtype=np.float64))))
    return left.shape == right.shape and bool(np.max(np.abs(left - right)) < 0.1 * rms)
