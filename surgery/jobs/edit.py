"""Edits as one straight line: convert and verify the whole encoder, edit it, write it, and prove what has not changed.

The module's own encoder is exported first, into a temporary folder, and must have parity. The edited encoder is then
built from the same weights, written, and reloaded. Its outputs before the first effect of an edit must be bit-equal to
those of the unedited export. All its outputs must be those of the edited encoder in memory. Every weight that no edit
touches must have the module's bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from surgery.arguments import OneOrMore, PathOrHandle
from surgery.boundary import public
from surgery.edits import Edit
from surgery.errors import ParityError
from surgery.export.manifest import make_manifest, write_manifest
from surgery.export.publish import choose_destination, kept_folder, publish_together, staging
from surgery.export.weights import Weights
from surgery.jobs.companions import Companions
from surgery.jobs.edited_export import judge_edited, write_edited
from surgery.jobs.opened import MakeBattery, open_weights
from surgery.jobs.steps import judge, open_export, rebuild
from surgery.limits import Limits
from surgery.planning.edits import EditedPlan, apply_edits
from surgery.planning.plan import closed_plan, make_plan
from surgery.planning.requests import Feature, Layers, Request, Tap
from surgery.planning.texts import Texts
from surgery.processes.scratch import scratch_folder
from surgery.progress import Progress, silent
from surgery.proof.battery import make_battery
from surgery.proof.parity import ParityReport
from surgery.results import Result
from surgery.scanning.gate import open_to_run
from surgery.sources.location import module_name
from surgery.sources.opening import open_module


@dataclass(frozen=True, kw_only=True, repr=False)
class EditedModel(Result, report="edited_model"):
    """A model with edits, not written yet.

    Attributes:
        module: The folder, archive or handle of the module.
        edits: The edits, in the order in which they are applied.
        assume: Values that the module's files do not show, by field.
        edited: The plan of the edits for this module: the places that they hit, and the outputs that stay as they are.
    """

    module: str
    edits: tuple[Edit, ...]
    assume: Mapping[str, Any] | None
    edited: EditedPlan

    @property
    def hits(self) -> dict[str, int]:
        """The number of places that each edit hits, by the edit in words."""
        return dict(self.edited.hits)

    @public
    def export(
        self,
        destination: PathOrHandle | None = None,
        *,
        taps: OneOrMore[str | Tap] = (),
        layers: Layers | None = None,
        features: OneOrMore[str | Feature] = (),
        depths: OneOrMore[int] = (),
        signatures: OneOrMore[str] | Mapping[str, OneOrMore[str]] = (),
        graph: str = "fused",
        packed: bool = False,
        overwrite: bool = False,
        keep_failed: bool = False,
        allow_nonfinite: bool = False,
        trust: bool = False,
        text: bool = False,
        seq_length: int | None = None,
        vocab: PathOrHandle | None = None,
        lower_case: bool | None = None,
        warmup: bool = False,
        limits: Limits = None,
        progress: Progress | None = None,
    ) -> EditedExport:
        """Writes the edited model, and proves that everything that no edit touches is unchanged.

        The outputs before the first effect of an edit must be bit-equal to the unedited export's. All outputs must be
        those of the edited encoder in memory.

        Args:
            destination: The folder to write; None for `exported/<name>_edited/<next version>`.
            taps: As for `surgery.convert`, and so are all that follow; blocks are numbered as the edits left them.
            layers: As for `surgery.convert`.
            features: As for `surgery.convert`.
            depths: As for `surgery.convert`.
            signatures: As for `surgery.convert`.
            graph: As for `surgery.convert`.
            packed: As for `surgery.convert`.
            overwrite: As for `surgery.convert`.
            keep_failed: As for `surgery.convert`.
            allow_nonfinite: As for `surgery.convert`.
            trust: As for `surgery.convert`.
            text: As for `surgery.convert`.
            seq_length: As for `surgery.convert`.
            vocab: As for `surgery.convert`.
            lower_case: As for `surgery.convert`.
            warmup: As for `surgery.convert`.
            limits: As for `surgery.convert`.
            progress: As for `surgery.convert`.

        Returns:
            The published export: the outputs that stayed to the bit, those that changed, and the comparison.

        Raises:
            SurgeryError: One of the classes in `surgery.errors`. The destination is then as it was before.

        Examples:
            ```python
            from surgery.edits import KeepBlocks

            done = surgery.edit("bert.tar.gz", KeepBlocks("0:6")).export("out/bert_6/1", text=True, seq_length=64)
            print(done.unchanged, done.changed)
            ```
        """
        texts = Texts(length=seq_length, vocab=None if vocab is None else Path(vocab), lower_case=lower_case)
        return export_edited(
            self,
            None if destination is None else Path(destination),
            request=Request.of(
                taps=taps,
                layers=layers,
                features=features,
                depths=depths,
                signatures=signatures,
                graph=graph,
                packed=packed,
            ),
            overwrite=overwrite,
            keep_failed=keep_failed,
            allow_nonfinite=allow_nonfinite,
            trust=trust,
            texts=texts if text else None,
            warmup=warmup,
            progress=progress or silent,
        )


@dataclass(frozen=True, kw_only=True, repr=False)
class EditedExport(Result, report="edit"):
    """A published edit.

    Attributes:
        destination: Its folder.
        edited: The plan of the edits: the places that they hit, and the outputs that stay as they are.
        unchanged: The outputs that are bit-equal to those of the unedited export.
        changed: All other outputs.
        report: The comparison with the edited encoder in memory.
        manifest: The content of its `assets.extra/surgery.json`.
        text_destination: The folder of its text export, or None.
        warmups: The number of warm-up requests by destination.
    """

    destination: Path
    edited: EditedPlan
    unchanged: tuple[str, ...]
    changed: tuple[str, ...]
    report: ParityReport
    manifest: Mapping[str, Any]
    text_destination: Path | None = None
    warmups: Mapping[Path, int] = field(default_factory=dict)


def edit_module(module: str, edits: Sequence[Edit], assume: Mapping[str, Any] | None = None) -> EditedModel:
    """Applies edits to the plan of a module, without TensorFlow.

    Raises UsageError for an edit that hits nothing, or that the module's encoder does not allow.
    """
    with open_module(module, with_weights=False) as source:
        plan = make_plan(source, Path(), assume)
        edited = apply_edits(plan, edits)
    return EditedModel(module=module, edits=tuple(edits), assume=assume, edited=_closed(edited, module))


def export_edited(
    model: EditedModel,
    destination: Path | None = None,
    *,
    request: Request | None = None,
    overwrite: bool = False,
    keep_failed: bool = False,
    allow_nonfinite: bool = False,
    trust: bool = False,
    texts: Texts | None = None,
    warmup: bool = False,
    battery: MakeBattery = make_battery,
    progress: Progress = silent,
) -> EditedExport:
    """Writes an edited model. Nothing is published if an output or weight has changed that no edit touches.

    Raises a SurgeryError that names the cause; the destination is then as it was before.
    """
    destination = choose_destination(destination, module_name(model.module) + "_edited", overwrite=overwrite)
    companions = Companions.of(destination, texts, warmup=warmup, trust=trust, overwrite=overwrite)
    progress("inspect", 0, 0)
    with (
        open_to_run(model.module, trust=trust) as source,
        scratch_folder() as scratch,
        ExitStack() as staged,
    ):
        companions.check_apart(destination, model.module, source.folder)
        plan = make_plan(source, destination, model.assume, (request or Request()).form)
        edited = apply_edits(plan, model.edits, request)
        companions.check(edited.plan)
        folder = staged.enter_context(staging(destination, keep_failed=keep_failed))

        opened = open_weights(plan, battery, allow_nonfinite=allow_nonfinite, progress=progress)
        recorded = rebuild(opened, scratch / "unedited", progress)
        unedited = open_export(scratch / "unedited", trust=trust)
        whole = judge(recorded, unedited, progress)
        if not whole.passed:
            raise ParityError(f"rebuilding {source.name} before the edit: {whole.failure()}")

        weights = Weights(edited.plan.weights, opened.tensors.read, source.constants, allow_nonfinite=allow_nonfinite)
        in_memory = write_edited(edited, weights, opened.battery, folder, progress)
        exported = open_export(folder, trust=trust)
        report = judge_edited(edited, in_memory, exported, unedited, progress)
        if not report.passed:
            raise ParityError(
                f"checking the edited export of {source.name}: what must stay has not, nothing was published\n  "
                + report.failure(),
                hint=f"the failed export is kept at {kept_folder(folder)}" if keep_failed else None,
            )
        manifest = make_manifest(edited.plan, in_memory.hashes, report, edited)
        write_manifest(manifest, folder, destination)
        exports, warmups = companions.stage(staged, exported, edited.plan, weights.constants(), progress)

        progress("publish", 0, 0)
        publish_together(exports, overwrite=overwrite)
    return EditedExport(
        destination=destination,
        edited=_closed(edited, model.module),
        unchanged=edited.unchanged_outputs,
        changed=edited.changed_outputs,
        report=report,
        manifest=manifest,
        text_destination=companions.text_destination,
        warmups=warmups,
    )


def _closed(edited: EditedPlan, module: str) -> EditedPlan:
    return replace(edited, plan=closed_plan(edited.plan, module))
