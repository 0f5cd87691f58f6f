"""The main job as one straight line: open, infer, map, record, build, export, compare, publish."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from surgery.errors import ParityError
from surgery.export.manifest import make_manifest, write_manifest
from surgery.export.publish import choose_destination, kept_folder, publish, staging
from surgery.export.weights import Weights
from surgery.jobs.texts import Texts, text_destination, write_texts
from surgery.jobs.warmup import warm_staged
from surgery.module import Tensors
from surgery.planning.outputs import Request
from surgery.planning.plan import Plan, make_plan, open_module
from surgery.progress import Progress, counting
from surgery.proof import float64 as published
from surgery.proof.battery import Batch, make_battery
from surgery.proof.contract import check_contract
from surgery.proof.expected import expected_outputs, inner_outputs
from surgery.proof.parity import ParityReport, Recording, Tolerance, compare, compare_weights
from surgery.sources import inspect_folder, well_formed
from surgery.sources.files import Files
from surgery.sources.location import module_name
from surgery.tfserving.config_files import require_serving

FIRST_LOOK = 2
"""Batches on which the filled encoder is tried before anything is written; among the longest, where attention acts."""


@dataclass(frozen=True)
class Conversion:
    """A published export: where it is, the plan that it carries out, the proof, and where its text export is.

    `warmups` are the numbers of warm-up requests by destination, where they were asked for.
    """

    destination: Path
    plan: Plan
    report: ParityReport
    manifest: Mapping[str, Any]
    text_destination: Path | None = None
    warmups: Mapping[Path, int] = field(default_factory=dict)


def convert_module(
    module: str,
    destination: Path | None = None,
    *,
    tolerance: Tolerance | None = None,
    overwrite: bool = False,
    keep_failed: bool = False,
    allow_nonfinite: bool = False,
    assume: Mapping[str, Any] | None = None,
    request: Request | None = None,
    texts: Texts | None = None,
    warmup: bool = False,
    progress: Progress = lambda step, done, total: None,
) -> Conversion:
    """Converts a module; nothing is published unless the reloaded export has parity.

    With `texts` a second SavedModel is published that takes strings, see surgery.jobs.texts; with `warmup` both
    have the requests that TensorFlow Serving runs first, see surgery.jobs.warmup.

    Raises the SurgeryError that says what went wrong; the destination is then as it was before.
    """
    tolerance = tolerance or Tolerance()
    destination = choose_destination(destination, module_name(module), overwrite=overwrite)
    text_place = choose_destination(text_destination(destination), "", overwrite=overwrite) if texts else None
    if warmup:
        require_serving("writing warm-up requests")
    warmups: dict[Path, int] = {}
    progress("inspect", 0, 0)
    with open_module(module, with_weights=True) as source:
        plan = make_plan(source, destination, assume, request)
        if texts is not None:
            texts.check(source, plan.inference)
        with staging(destination, keep_failed=keep_failed) as folder:
            reference = record_reference(plan, progress)
            progress("build the encoder", 0, 0)
            weights = Weights(plan.weights, reference.tensors.read, source.constants, allow_nonfinite=allow_nonfinite)
            write_encoder(plan, weights, reference, tolerance, folder, progress)
            report = check_export(plan, folder, reference, weights, tolerance, progress)
            if not report.passed:
                kept = (
                    f"the failed export is kept at {kept_folder(folder)}"
                    if keep_failed
                    else "--keep-failed keeps the export to look at"
                )
                raise ParityError(
                    f"comparing the export with {source.name}: it is not the same function, nothing was published\n  "
                    + report.failure(),
                    hint=kept,
                )
            manifest = make_manifest(
                source,
                plan.inference,
                plan.weights,
                weights.hashes(),
                plan.signatures,
                plan.outputs.request,
                report,
            )
            write_manifest(manifest, folder, destination)
            if warmup:
                warmups[destination] = warm_staged(folder, destination, progress)
            if texts is not None and text_place is not None:
                progress("write the text export", 0, 0)
                tokenization = texts.tokenization(source, weights.constants())
                with staging(text_place) as text_folder:
                    length = texts.resolved(plan.inference)
                    write_texts(
                        folder, tokenization, length, plan.inference.family.right_context, text_folder, text_place
                    )
                    if warmup:
                        warmups[text_place] = warm_staged(text_folder, text_place, progress)
                    publish(text_folder, text_place, overwrite=overwrite)
            progress("publish", 0, 0)
            publish(folder, destination, overwrite=overwrite)
    return Conversion(destination, plan, report, manifest, text_place, warmups)


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
    if plan.inference.published is not None:
        steps = partial(progress, "compute the reference")
        recording = published.record_published(module, plan.inference, tensors, battery, plan.outputs.taps, steps)
        what = published.description(module)
    else:
        tick = counting(progress, "run the module", len(battery))
        recording = comparison.record_module(module, plan.inference, battery, plan.outputs.taps, tick)
        what = comparison.REFERENCE
    expected = expected_outputs(plan.inference, plan.outputs, battery, recording)
    inner = () if plan.inference.published is not None else inner_outputs(plan.inference, plan.outputs)
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
    longest = sorted((i for i, batch in enumerate(battery) if batch.heads), key=lambda i: -battery[i].length)[
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
    exported = inspect_folder(Files(folder, folder.name))
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
