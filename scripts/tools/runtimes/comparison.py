"""What a runtime returned against the reference: names that live or were lost, and the error of each output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scripts.tools.runtimes.processes import Answer
from scripts.tools.runtimes.programs.exchange import Arrays, Request, Signature, read_outputs
from scripts.tools.runtimes.registry import BELOW_FLOAT32, EXACT, FLOAT32, TIMES_ROUNDED, TIMES_ROUNDING, Runtime
from surgery.proof.battery import Batch
from surgery.proof.parity import OutputDiff, Tolerance, compare

Outputs = Mapping[str, Sequence[Arrays]]
"""Outputs by signature: for each batch, by name."""


@dataclass(frozen=True, kw_only=True)
class SignatureResult:
    """One signature in one runtime.

    `expected`: the outputs asked of it.
    `reason`: why it does not load.
    `note`: what the program has to say of it.
    `precision`: the one with which the runtime says that it computes.
    `diffs`: of the outputs that are alive.
    `lost`: the outputs that are not.
    `others`: the names that the runtime has and the signature has not, each with the lost output whose values it has,
    or "".
    """

    name: str
    loads: bool
    expected: tuple[str, ...]
    reason: str = ""
    note: str = ""
    precision: str = ""
    diffs: tuple[OutputDiff, ...] = ()
    lost: tuple[str, ...] = ()
    others: Mapping[str, str] | None = None

    @property
    def wrong(self) -> tuple[OutputDiff, ...]:
        return tuple(diff for diff in self.diffs if not diff.passed)


@dataclass(frozen=True, kw_only=True)
class Result:
    """A runtime's row. `failure` says why nothing is known of any signature; `ran` is False where it was not tried."""

    runtime: Runtime
    version: str
    signatures: tuple[SignatureResult, ...]
    failure: str = ""
    ran: bool = True

    @property
    def loaded(self) -> tuple[SignatureResult, ...]:
        return tuple(signature for signature in self.signatures if signature.loads)

    @property
    def concerned(self) -> bool:
        """False where this export is nothing for this runtime, as a text export for a call."""
        return bool(self.signatures or self.failure)

    @property
    def worst(self) -> OutputDiff | None:
        """The output that is furthest off, by its RMS, which is how tolerances are meant; NaN and misfits first."""
        diffs = [diff for signature in self.signatures for diff in signature.diffs]
        return max(diffs, key=lambda diff: (bool(diff.problem), diff.relative), default=None)

    @property
    def faults(self) -> list[str]:
        """Why this is no good: wrong numbers, lost names, or not loading where an export must load. Often empty."""
        told = []
        for signature in self.signatures:
            wrong = signature.wrong
            if wrong:
                worst = max(wrong, key=lambda diff: (bool(diff.problem), diff.relative))
                far = worst.problem or f"is off by {worst.max_abs:.2g}, {worst.relative:.2g} of its RMS"
                told.append(f"{signature.name}: {len(wrong)} of {len(signature.diffs)} outputs; {worst.name} {far}")
            told += [f"{signature.name}: {name} is lost" for name in signature.lost]
        if self.runtime.must_load and self.concerned:
            told += [f"{s.name}: does not load" for s in self.signatures if not s.loads]
            told += [self.failure] if self.failure else []
        return told


def judge(
    runtime: Runtime,
    answer: Answer,
    request: Request,
    reference: Outputs,
    rounded: Mapping[str, Outputs],
) -> Result:
    """Holds an answer against the reference's outputs; `rounded` are the same with weights of a lower precision."""
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
    told, wanted = answer.signatures[signature.name], reference[signature.name]
    if not told["loads"]:
        return SignatureResult(
            name=signature.name, loads=False, expected=tuple(signature.outputs), reason=told["reason"]
        )
    found = read_outputs(answer.folder, signature.name, len(request.batches))
    expected, precision = tuple(told["expects"]), told["precision"]
    lost = tuple(name for name in expected if any(name not in outputs for outputs in found))
    batches = [_batch(inputs) for inputs in request.batches]
    diffs: list[OutputDiff] = []
    for name in expected:
        if name in lost:
            continue
        bound = _tolerance(name, wanted, precision, rounded.get(precision, {}).get(signature.name))
        diffs += compare(batches, [{name: outputs[name]} for outputs in wanted], found, bound)
    others = {
        other: next((name for name in lost if _same(wanted, found, name, other)), "")
        for other in sorted(found[0].keys() - signature.outputs.keys())
    }
    return SignatureResult(
        name=signature.name,
        loads=True,
        expected=expected,
        note=told["note"],
        precision=precision,
        diffs=tuple(diffs),
        lost=lost,
        others=others,
    )


def _tolerance(name: str, wanted: Sequence[Arrays], precision: str, rounded: Sequence[Arrays] | None) -> Tolerance:
    """Exact for integers; surgery's own for float32; below it by how far rounding the weights moves this output."""
    if wanted[0][name].dtype.kind != "f":
        return EXACT
    if rounded is None:
        return FLOAT32
    moved = max(float(np.max(np.abs(a[name] - b[name]))) for a, b in zip(wanted, rounded, strict=True))
    return Tolerance(atol=TIMES_ROUNDED * moved, rtol=TIMES_ROUNDING * BELOW_FLOAT32[precision])


def _batch(inputs: Arrays) -> Batch:
    """A batch as parity knows it; in a batch of texts no row is nothing but padding."""
    rows = next(iter(inputs.values())).shape[0]
    mask = inputs.get("input_mask", np.ones((rows, 1), np.int32))
    return Batch(label=f"{rows} rows", inputs={**inputs, "input_mask": mask})


def _same(wanted: Sequence[Arrays], found: Sequence[Arrays], name: str, other: str) -> bool:
    """Whether what a runtime calls `other` is the lost `name`: nearer than a tenth of its RMS."""
    left, right = wanted[0][name], found[0][other]
    rms = float(np.sqrt(np.mean(np.square(left, dtype=np.float64))))
    return left.shape == right.shape and bool(np.max(np.abs(left - right)) < 0.1 * rms)
