"""The main job as one straight line: open, infer, map, record, build, export, compare, publish."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from surgery.arguments import argument
from surgery.errors import ParityError
from surgery.export.manifest import make_manifest, write_manifest
from surgery.export.publish import choose_destination, kept_folder, publish, staging
from surgery.export.weights import Weights
from surgery.jobs.steps import check_export, record_reference, write_encoder
from surgery.jobs.texts import write_texts
from surgery.jobs.warmup import warm_staged
from surgery.planning.plan import Plan, make_plan
from surgery.planning.requests import Request
from surgery.planning.texts import Texts, text_destination
from surgery.progress import Progress, silent
from surgery.proof.parity import ParityReport, Tolerance
from surgery.sources.location import module_name
from surgery.sources.opening import open_module
from surgery.tfserving.config_files import require_serving


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
    progress: Progress = silent,
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
                    else f"{argument('keep_failed', True)} keeps the export to look at"
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
