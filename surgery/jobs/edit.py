"""The line of an edit: convert and verify the whole encoder, edit it, write it, and prove what must stay the same.

The module's own encoder is exported first, beside, and must have parity. The edited one is then built from the same
weights. Reloaded, its outputs before the first effect of an edit must be those of the unedited export to the bit; all
its outputs must be those of the edited encoder in memory; every weight that no edit touches must have the module's
bits.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from surgery.arguments import OneOrMore
from surgery.edits import Edit
from surgery.errors import ParityError, UsageError
from surgery.explanation.outputs import EMBEDDING
from surgery.export.manifest import make_manifest, write_manifest
from surgery.export.publish import choose_destination, publish, staging
from surgery.export.weights import Weights, sha256
from surgery.jobs.steps import Reference, check_export, record_reference, write_encoder
from surgery.planning.edits import EditedBlock, EditedPlan, apply_edits
from surgery.planning.plan import Plan, make_plan
from surgery.planning.requests import Feature, Layers, Request, Tap
from surgery.progress import Progress, counting, silent
from surgery.proof.contract import check_contract, check_interface
from surgery.proof.expected import expected_outputs
from surgery.proof.parity import ParityReport, Recording, Tolerance, compare, compare_weights
from surgery.sources import inspect_folder, well_formed
from surgery.sources.files import Files
from surgery.sources.location import module_name
from surgery.sources.opening import open_module

IN_MEMORY = "the edited encoder in memory"


@dataclass(frozen=True)
class EditedModel:
    """A model with edits, not written yet: `edited.hits` says how many blocks or heads each of them hit."""

    module: str
    edits: tuple[Edit, ...]
    assume: Mapping[str, Any] | None
    edited: EditedPlan

    @property
    def hits(self) -> dict[str, int]:
        """Places that each edit hit, by the edit in words."""
        return dict(self.edited.hits)

    def export(
        self,
        destination: str | PathLike[str] | None = None,
        *,
        taps: OneOrMore[str | Tap] = (),
        layers: Layers | None = None,
        features: OneOrMore[str | Feature] = (),
        depths: OneOrMore[int] = (),
        signatures: OneOrMore[str] | Mapping[str, OneOrMore[str]] = (),
        atol: float | None = None,
        rtol: float | None = None,
        overwrite: bool = False,
        progress: Progress = silent,
    ) -> EditedExport:
        """Writes and proves it, with the outputs that `surgery.convert` can add; see `export_edited`."""
        return export_edited(
            self,
            None if destination is None else Path(destination),
            request=Request.of(taps=taps, layers=layers, features=features, depths=depths, signatures=signatures),
            tolerance=Tolerance.of(atol, rtol),
            overwrite=overwrite,
            progress=progress,
        )


@dataclass(frozen=True)
class EditedExport:
    """A published edit: where it is, what it hit, what stayed the same to the bit, and the comparison's report."""

    destination: Path
    edited: EditedPlan
    unchanged: tuple[str, ...]
    changed: tuple[str, ...]
    report: ParityReport
    manifest: Mapping[str, Any]


def edit_module(module: str, edits: Sequence[Edit], assume: Mapping[str, Any] | None = None) -> EditedModel:
    """Reads edits against a module, without TensorFlow. Raises UsageError for a wrong aim."""
    with open_module(module, with_weights=False) as source:
        plan = make_plan(source, Path(), assume)
        return EditedModel(module, tuple(edits), assume, apply_edits(plan, edits))


def export_edited(
    model: EditedModel,
    destination: Path | None = None,
    *,
    request: Request | None = None,
    tolerance: Tolerance | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> EditedExport:
    """Writes an edited model; nothing is published unless what must stay the same has stayed.

    Raises the SurgeryError that says what went wrong; the destination is then as it was before.
    """
    tolerance = tolerance or Tolerance()
    destination = choose_destination(destination, module_name(model.module) + "_edited", overwrite=overwrite)
    progress("inspect", 0, 0)
    with (
        open_module(model.module, with_weights=True) as source,
        staging(destination) as folder,
        tempfile.TemporaryDirectory(prefix="surgery-") as scratch,
    ):
        plan = make_plan(source, destination, model.assume)
        edited = apply_edits(plan, model.edits, request)
        whole = Path(scratch) / "unedited"
        reference = _convert_whole(plan, whole, tolerance, progress)
        weights = Weights(edited.plan.weights, reference.tensors.read, source.constants)
        report, hashes, unchanged = _write_edited(edited, weights, whole, folder, reference, tolerance, progress)
        changed = tuple(n for outputs in edited.plan.signatures.values() for n in outputs if n not in unchanged)
        if not report.passed:
            raise ParityError(
                f"checking the edited export of {source.name}: what must stay has not, nothing was published\n  "
                + report.failure()
            )
        told = {
            "applied": [{"edit": edit, "places": count} for edit, count in edited.hits],
            "blocks": [{"origin": block.origin, "pruned_heads": list(block.pruned)} for block in edited.blocks],
            "unchanged": list(unchanged),
            "changed": list(dict.fromkeys(changed)),
        }
        manifest = make_manifest(
            source,
            edited.plan.inference,
            edited.plan.weights,
            hashes,
            edited.plan.signatures,
            edited.plan.outputs.request,
            report,
            told,
        )
        write_manifest(manifest, folder, destination)
        progress("publish", 0, 0)
        publish(folder, destination, overwrite=overwrite)
    return EditedExport(destination, edited, unchanged, tuple(dict.fromkeys(changed)), report, manifest)


def _convert_whole(plan: Plan, folder: Path, tolerance: Tolerance, progress: Progress) -> Reference:
    """Writes the unedited export into `folder` and proves it. Raises ParityError when it is not the module."""
    reference = record_reference(plan, progress)
    weights = Weights(plan.weights, reference.tensors.read, plan.module.constants)
    write_encoder(plan, weights, reference, tolerance, folder, progress)
    report = check_export(plan, folder, reference, weights, tolerance, progress)
    if not report.passed:
        raise ParityError(f"rebuilding {plan.module.name} before the edit: {report.failure()}")
    return reference


def _write_edited(
    edited: EditedPlan,
    weights: Weights,
    whole: Path,
    folder: Path,
    reference: Reference,
    tolerance: Tolerance,
    progress: Progress,
) -> tuple[ParityReport, Mapping[str, str], tuple[str, ...]]:
    """Writes the edited encoder and compares it; the report, hashes of its weights, and the outputs that stayed."""
    from surgery.tf import recording as comparison
    from surgery.tf.encoder import build_encoder, edit_encoder
    from surgery.tf.export import Export, write_saved_model

    plan, battery = edited.plan, reference.battery
    progress("edit the encoder", 0, 0)
    try:
        encoder = edit_encoder(build_encoder(plan.inference, weights), edited.blocks)
        recorded = comparison.record_encoder(encoder, battery, plan.outputs.taps)
    except (ValueError, TypeError) as error:  # what Keras raises for a layer that does not fit
        raise UsageError(
            f"running the edited encoder: {error}", hint="layers take and give [batch, seq, hidden]"
        ) from error
    expected = expected_outputs(plan.inference, plan.outputs, battery, recorded)
    progress("write the SavedModel", 0, 0)
    write_saved_model(Export(plan.module, encoder, weights.constants(), plan.outputs), folder)
    blocks = {t: int(claim.holes.get("layer", 0)) for claim in plan.inference.claims for t in claim.targets}
    hashes = {
        target: sha256(_without_heads(target, weights, edited.blocks[blocks[target]])) for target in encoder.variables
    }
    exported = inspect_folder(Files(folder, folder.name))
    with well_formed(str(folder)):
        contract = (
            check_interface(plan.module, exported, plan.inference, plan.outputs)
            if edited.rebuilt
            else check_contract(plan.module, exported, plan.inference, plan.weights, plan.outputs)
        )
    steps = counting(progress, "run the export", len(battery))
    with comparison.LoadedExport(folder) as loaded:
        bits = compare_weights(hashes, loaded.hashes(list(hashes)))
        found = list(loaded.replay(exported, plan.inference, plan.outputs, battery, steps))
    unchanged, moved = _compare_unchanged(edited, whole, battery, found)
    report = ParityReport(
        reference=IN_MEMORY,
        tolerance=tolerance,
        batches=len(battery),
        outputs=compare(battery, expected, found, tolerance),
        weights=bits,
        contract=(*contract, *moved),
    )
    return report, hashes, unchanged


def _without_heads(target: str, weights: Weights, block: EditedBlock) -> np.ndarray:
    """The module's weight, less the heads that an edit takes from its block; its layout says which axis counts them."""
    value = weights.value(target)
    axes = [group[0] for group in weights.assignments[target].layout.target]
    return np.delete(value, list(block.pruned), axis=axes.index("heads")) if block.pruned and "heads" in axes else value


def _compare_unchanged(
    edited: EditedPlan, whole: Path, battery: Sequence[Any], found: Recording
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the outputs before the first effect of an edit; and a line for each that is not bit-equal.

    Both exports are reloaded and run by the same runner.
    """
    from surgery.tf import recording as comparison

    names = [EMBEDDING, *edited.plan.inference.outputs.entries_after(edited.unchanged)]
    plan = edited.plan
    plain = replace(plan.outputs, signatures={"serving_default": plan.outputs.signatures["serving_default"]})
    with comparison.LoadedExport(whole) as loaded:
        unedited = list(
            loaded.replay(inspect_folder(Files(whole, "unedited")), plan.inference, plain, battery, lambda: None)
        )
    names = [name for name in names if all(name in outputs for outputs in found)]
    moved = [
        f"{name}: before the first effect of an edit, and not bit-equal to the unedited export's"
        for name in names
        if not all(np.array_equal(a[name], b[name], equal_nan=True) for a, b in zip(unedited, found, strict=True))
    ]
    return tuple(names), tuple(moved)
