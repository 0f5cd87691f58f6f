"""The main job as one straight line: open, plan, rebuild with an early look, judge the reloaded export, publish."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from surgery.arguments import argument
from surgery.errors import ParityError, WriteError
from surgery.export.manifest import make_manifest, write_manifest
from surgery.export.publish import choose_destination, kept_folder, publish_together, staging
from surgery.jobs.companions import Companions
from surgery.jobs.opened import MakeBattery, open_weights
from surgery.jobs.report import documents_of, write_report
from surgery.jobs.steps import judge, open_export, rebuild
from surgery.pages.writing import check_page
from surgery.planning.plan import Plan, closed_plan, make_plan
from surgery.planning.requests import Request
from surgery.planning.texts import Texts
from surgery.progress import Progress, silent
from surgery.proof.battery import make_battery
from surgery.proof.parity import ParityReport
from surgery.results import Result, document
from surgery.scanning.gate import open_to_run
from surgery.sources.location import module_name


@dataclass(frozen=True, kw_only=True, repr=False)
class Conversion(Result, report="convert"):
    """A published export.

    Attributes:
        destination: Its folder.
        plan: The plan that it carries out.
        report: The proof that it is the same function.
        manifest: The content of its `assets.extra/surgery.json`.
        text_destination: The folder of its text export, where one was asked for.
        warmups: The numbers of warm-up requests by destination, where they were asked for.
        page: The page about it, where one was asked for.
    """

    destination: Path
    plan: Plan
    report: ParityReport
    manifest: Mapping[str, Any]
    text_destination: Path | None = None
    warmups: Mapping[Path, int] = field(default_factory=dict)
    page: Path | None = None


def convert_module(
    module: str,
    destination: Path | None = None,
    *,
    overwrite: bool = False,
    keep_failed: bool = False,
    allow_nonfinite: bool = False,
    trust: bool = False,
    assume: Mapping[str, Any] | None = None,
    request: Request | None = None,
    texts: Texts | None = None,
    warmup: bool = False,
    page: Path | None = None,
    battery: MakeBattery = make_battery,
    progress: Progress = silent,
) -> Conversion:
    """Converts a module. Nothing is published unless the reloaded export has parity.

    With `texts`, a second SavedModel that takes strings is published (surgery.jobs.texts). With `warmup`, both have the
    requests that TensorFlow Serving runs first (surgery.jobs.warmup). Both are published, or neither. With `page`, a
    page about the export is written (surgery.jobs.report) after it is published.

    Raises a SurgeryError that names the cause; the destinations are then as they were before.
    """
    destination = choose_destination(destination, module_name(module), overwrite=overwrite)
    companions = Companions.of(destination, texts, warmup=warmup, trust=trust, overwrite=overwrite)
    if page is not None:
        check_page(page, [module, destination, companions.text_destination], overwrite=overwrite)
    progress("inspect", 0, 0)
    with open_to_run(module, trust=trust) as source, ExitStack() as staged:
        companions.check_apart(destination, module, source.folder)
        plan = make_plan(source, destination, assume, request)
        companions.check(plan)
        folder = staged.enter_context(staging(destination, keep_failed=keep_failed))

        opened = open_weights(plan, battery, allow_nonfinite=allow_nonfinite, progress=progress)
        recorded = rebuild(opened, folder, progress)
        exported = open_export(folder, trust=trust)
        report = judge(recorded, exported, progress)
        if not report.passed:
            raise _no_parity(plan, report, folder, keep_failed=keep_failed)
        manifest = make_manifest(plan, recorded.hashes, report)
        write_manifest(manifest, folder, destination)
        exports, warmups = companions.stage(staged, exported, plan, opened.weights.constants(), progress)

        progress("publish", 0, 0)
        publish_together(exports, overwrite=overwrite)
    done = Conversion(
        destination=destination,
        plan=closed_plan(plan, module),
        report=report,
        manifest=manifest,
        text_destination=companions.text_destination,
        warmups=warmups,
        page=page,
    )
    if page is not None:
        _write_page(done, page)
    return done


def _write_page(done: Conversion, page: Path) -> None:
    """Writes the page about a published export: its own documents, and those of its conversion."""
    try:
        own = {"convert": document(done), "plan": document(done.plan)}
        write_report({**documents_of(str(done.destination)), **own}, page)
    except WriteError as error:
        raise WriteError(f"{error.message}; the export is published at {done.destination}", hint=error.hint) from error


def _no_parity(plan: Plan, report: ParityReport, folder: Path, *, keep_failed: bool) -> ParityError:
    return ParityError(
        f"comparing the export with {plan.module.name}: it is not the same function, nothing was published\n  "
        + report.failure(),
        hint=f"the failed export is kept at {kept_folder(folder)}"
        if keep_failed
        else f"{argument('keep_failed', True)} keeps the export to look at",
    )
