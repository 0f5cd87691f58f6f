"""Steps that convert, verify and edit share: record the module, fill and try the encoder, check what was written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from surgery.errors import ParityError
from surgery.export.weights import Weights
from surgery.module import Tensors
from surgery.planning.plan import Plan
from surgery.progress import Progress, counting
from surgery.proof import float64
from surgery.proof.battery import Batch, make_battery
from surgery.proof.contract import check_contract
from surgery.proof.expected import expected_outputs, inner_outputs
from surgery.proof.parity import ParityReport, Recording, Tolerance, compare, compare_weights
from surgery.sources import inspect_folder, well_formed
from surgery.sources.files import Files

FIRST_LOOK = 2
"""Batches on which the filled encoder is tried before anything is written; among the longest, where attention acts."""


@dataclass(frozen=True)
class Reference:
    """The module's side of a comparison: what it returns on a battery, and its weights. `what` is for people.

    `inner` are the expected outputs that were read from inside its graph, or made of such.
    """

    what: str
    battery: Sequence[Batch]
    expected: Recording
    tensors: Tensors
    inner: tuple[str, ...]


def record_reference(plan: Plan, progress: Progress) -> Reference:
    """Runs the module itself on a battery: its own graph, or for a checkpoint what its publisher says it computes.

    Raises ModuleError when its weights are not what its files promise.
    """
    module = plan.module
    progress("start TensorFlow", 0, 0)
    from surgery.tf.memory import importing

    with importing():
        from surgery.tf import recording as comparison

    battery = make_battery(plan.inference.architecture)
    tensors = module.open_tensors()
    tensors.check(assignment.variable for assignment in plan.weights.assignments)
    if plan.inference.publisher is not None:
        steps = partial(progress, "compute the reference")
        recording = float64.record_float64(module, plan.inference, tensors, battery, plan.outputs.taps, steps)
        what = float64.description(module)
    else:
        tick = counting(progress, "run the module", len(battery))
        recording = comparison.record_module(module, plan.inference, battery, plan.outputs.taps, tick)
        what = comparison.REFERENCE
    expected = expected_outputs(plan.inference, plan.outputs, battery, recording)
    inner = () if plan.inference.publisher is not None else inner_outputs(plan.inference, plan.outputs)
    return Reference(what, battery, expected, tensors, tuple(name for name in inner if _is_in(name, expected)))


def _is_in(name: str, recording: Recording) -> bool:
    return any(name in outputs for outputs in recording)


def write_encoder(
    plan: Plan,
    weights: Weights,
    reference: Reference,
    tolerance: Tolerance,
    folder: Path,
    progress: Progress,
) -> None:
    """Fills the encoder, looks at it once, writes it. The encoder is gone when this returns."""
    from surgery.tf import recording as comparison
    from surgery.tf.encoder import build_encoder
    from surgery.tf.export import Export, write_saved_model

    encoder = build_encoder(plan.inference, weights)
    battery, expected = reference.battery, reference.expected
    longest = sorted((i for i, batch in enumerate(battery) if batch.submodels), key=lambda i: -battery[i].length)[
        :FIRST_LOOK
    ]
    first, wanted = [battery[i] for i in longest], [expected[i] for i in longest]
    found = comparison.record_encoder(encoder, first)
    shown = [
        {name: outputs[name] for name in outputs.keys() & got.keys()}
        for outputs, got in zip(wanted, found, strict=True)
    ]
    failed = [diff for diff in compare(first, shown, found, tolerance) if not diff.passed]
    if failed:
        raise ParityError(
            f"trying the filled encoder of {plan.module.name}: the first output to diverge is {failed[0].name}, "
            f"max abs error {failed[0].max_abs:.3g}, {failed[0].worst_batch}; nothing was written",
            hint="the module computes something that its weight table does not say: please report it",
        )
    progress("write the SavedModel", 0, 0)
    write_saved_model(Export(plan.module, encoder, weights.constants(), plan.outputs), folder)


def check_export(
    plan: Plan,
    folder: Path,
    reference: Reference,
    weights: Weights,
    tolerance: Tolerance,
    progress: Progress,
) -> ParityReport:
    """The whole comparison between a recorded module and an export on disk."""
    from surgery.tf import recording as comparison

    hashes = weights.hashes()
    exported = inspect_folder(Files(folder=folder, name=folder.name))
    battery, expected = reference.battery, reference.expected
    with well_formed(str(folder)):
        contract = check_contract(plan.module, exported, plan.inference, plan.weights, plan.outputs)
    progress("load the export", 0, 0)
    with comparison.LoadedExport(folder) as loaded:
        bits = compare_weights(hashes, loaded.hashes(list(hashes)))
        steps = counting(progress, "run the export", len(battery))
        replayed = loaded.replay(exported, plan.inference, plan.outputs, battery, steps)
        outputs = compare(battery, expected, replayed, tolerance)
    return ParityReport(
        reference=reference.what,
        tolerance=tolerance,
        batches=len(battery),
        outputs=outputs,
        weights=bits,
        contract=contract,
        nonfinite_weights=dict(weights.nonfinite),
        inner=reference.inner,
        unmatched=tuple(
            f"{name}.{output}"
            for name, signature in plan.outputs.extra.items()
            for output in signature.outputs
            if not _is_in(f"{name}.{output}", expected)
        ),
    )
