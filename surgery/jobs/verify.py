"""The comparison alone, of any module with any export of it: made now, made earlier, edited, or changed since."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from surgery.errors import UnexplainedError, UsageError
from surgery.export.manifest import MANIFEST, read_request
from surgery.export.statements import Statements, check_statements, read_statements, unknown_keys
from surgery.export.text_facts import read_text_facts
from surgery.jobs.node_data import check_node_data, files_of, write_node_data
from surgery.jobs.opened import MakeBattery, open_weights
from surgery.jobs.steps import judge, open_export, record
from surgery.jobs.verify_edited import StatedEdits, judge_again, named_edits, record_edited, stated_edits
from surgery.module import InspectedModule
from surgery.planning.plan import Plan, closed_plan, make_plan
from surgery.planning.texts import encoder_beside
from surgery.progress import Progress, silent
from surgery.proof.battery import make_battery
from surgery.proof.parity import ParityReport
from surgery.results import Result
from surgery.scanning.gate import open_to_run
from surgery.sources.files import SAVED_MODEL
from surgery.sources.single_files import no_export


@dataclass(frozen=True, kw_only=True, repr=False)
class Verification(Result, report="verify"):
    """The verdict on an export.

    Attributes:
        plan: The module, how it is explained, and the outputs that were compared.
        exported: The export's folder.
        report: The comparison, passed or not.
        notes: Facts about the export's manifest, one line each.
        edits: The edits that the manifest names, in words; empty for an export that is the module itself.
        unproven: Outputs that were not compared, because the manifest does not have a layer on which they depend.
        node_data: The folder of the errors as node data for Model Explorer; None where none was asked for.
    """

    plan: Plan
    exported: Path
    report: ParityReport
    notes: tuple[str, ...]
    edits: tuple[str, ...] = ()
    unproven: tuple[str, ...] = ()
    node_data: Path | None = None

    @property
    def passed(self) -> bool:
        """True if the export is the same function as the module, or what the edits of its manifest make of it."""
        return self.report.passed

    @property
    def failure(self) -> str:
        """What was compared and how it differs, for people; empty if nothing does."""
        if self.passed:
            return ""
        after = f" after the edits that its manifest names ({'; '.join(self.edits)})" if self.edits else ""
        return f"comparing {self.exported} with {self.plan.module.name}{after}: {self.report.failure()}"


def verify_export(
    module: str,
    exported: Path,
    *,
    allow_nonfinite: bool = False,
    trust: bool = False,
    assume: Mapping[str, Any] | None = None,
    node_data: Path | None = None,
    overwrite: bool = False,
    battery: MakeBattery = make_battery,
    progress: Progress = silent,
) -> Verification:
    """Compares an export with a module. If they differ, the report has not passed; no exception is raised.

    An export whose manifest names edits is compared with the edited module. The errors are written to the folder
    `node_data` for Model Explorer, whatever the verdict is; `overwrite` replaces it. Raises a SurgeryError when one of
    the two cannot be opened, or no table explains the module.
    """
    if node_data is not None:
        node_data = check_node_data(node_data, [module, exported], overwrite=overwrite)
    if not (exported / SAVED_MODEL).is_file():
        raise no_export(exported)
    with open_to_run(module, trust=trust) as source:
        export = open_export(exported, trust=trust)
        statements = read_statements(exported)
        if read_text_facts(exported) is not None:
            raise _text_export(exported)
        own_edits = named_edits(read_statements(Path(source.folder)).values)
        with _edited(source.name, own_edits):
            plan, edits = _plan(source, export, statements, assume)
        if edits.plan is not None:
            unedited = make_plan(source, exported, assume, plan.outputs.request.form)
            recorded = record_edited(edits.plan, unedited, battery, allow_nonfinite=allow_nonfinite, progress=progress)
            report = judge_again(edits.plan, recorded, export, progress)
        else:
            opened = open_weights(plan, battery, allow_nonfinite=allow_nonfinite, progress=progress)
            recorded = record(opened, progress)
            report = judge(recorded, export, progress)
        problems = check_statements(statements, plan, export, recorded.hashes, edits.plan)
        if edits.problem:
            problems = (f"{MANIFEST}: {edits.problem}", *problems)
        unproven = edits.plan.changed_outputs if edits.plan is not None and edits.plan.has_unknown_layers else ()
        notes = _notes(source, statements, own_edits)
        if node_data is not None:
            write_node_data(files_of(report, plan, export), node_data, overwrite=overwrite)
    return Verification(
        plan=closed_plan(plan, module),
        exported=exported,
        report=replace(report, contract=(*report.contract, *problems)),
        notes=tuple(notes),
        edits=edits.words,
        unproven=unproven,
        node_data=node_data,
    )


def _text_export(exported: Path) -> UsageError:
    """The error for an export that takes strings: tokens go into the graphs that are compared."""
    beside = encoder_beside(exported)
    return UsageError(
        f"verifying {exported}: expected an export that takes token ids, found a text export",
        hint=f"verify the export of its encoder, {beside or 'which convert wrote with it'}",
    )


def _plan(
    source: InspectedModule, export: InspectedModule, statements: Statements, assume: Mapping[str, Any] | None
) -> tuple[Plan, StatedEdits]:
    """The plan with which the export is compared, and the edits that its manifest names.

    It is a conversion to the outputs that the export has, or an edit of one.
    """
    exported = Path(export.folder)
    request = read_request(exported, export.signatures)
    edits = StatedEdits(words=())
    if "edits" in statements.values:
        edits = stated_edits(statements.values["edits"], make_plan(source, exported, assume), request)
        if edits.plan is not None:
            return edits.plan.plan, edits
    try:
        return make_plan(source, exported, assume, request), edits
    except UsageError:  # the export is one of another module: the comparison will list its superfluous outputs
        return make_plan(source, exported, assume), edits


@contextmanager
def _edited(name: str, edits: tuple[str, ...]) -> Iterator[None]:
    """A block that plans a module. If it cannot be explained because it is itself edited, the error says so."""
    try:
        yield
    except UnexplainedError as error:
        if not edits:
            raise
        raise UnexplainedError(
            f"comparing with {name}, whose manifest calls it edited ({'; '.join(edits)}): {error.message}",
            hint="compare an edited export with the module that it was made from: its manifest names its edits, and "
            "verify makes them again",
        ) from error


def _notes(module: InspectedModule, statements: Statements, own_edits: tuple[str, ...]) -> list[str]:
    of_module = [f"the manifest of {module.name} calls it edited: {'; '.join(own_edits)}"] if own_edits else []
    return [*of_module, *_notes_on_manifest(module, statements)]


def _notes_on_manifest(module: InspectedModule, statements: Statements) -> list[str]:
    if statements.missing:
        return [f"the export has no {MANIFEST}: it was not written by surgery, or it was removed"]
    if statements.damage:
        return []
    name = dict(source).get("name") if isinstance(source := statements.values.get("source"), dict) else None
    notes = [
        f"{MANIFEST} names this module's own files as its source"
        if statements.names(module)
        else f"{MANIFEST} names other files as its source ({name}): the comparison does not depend on it"
    ]
    if unknown := unknown_keys(statements):
        notes.append(f"{MANIFEST} has keys that this version does not know and has not compared: {', '.join(unknown)}")
    return notes
