"""The comparison alone, of any module with any export of it: made now, made earlier, or changed since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from surgery.errors import ModuleError, UsageError
from surgery.export.manifest import MANIFEST, read_manifest, read_request
from surgery.jobs.steps import MakeBattery, judge, open_export, open_weights, record
from surgery.module import InspectedModule
from surgery.planning.plan import Plan, make_plan
from surgery.progress import Progress, silent
from surgery.proof.battery import make_battery
from surgery.proof.parity import ParityReport
from surgery.sources.opening import open_module


@dataclass(frozen=True, kw_only=True)
class Verification:
    """The verdict on an export.

    Attributes:
        plan: The module, how it is explained, and the outputs that were compared.
        exported: The export's folder.
        report: The comparison, passed or not.
        notes: Facts about the source in the export's manifest, one line each.
    """

    plan: Plan
    exported: Path
    report: ParityReport
    notes: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """True if the export is the same function as the module."""
        return self.report.passed


def verify_export(
    module: str,
    exported: Path,
    *,
    allow_nonfinite: bool = False,
    assume: Mapping[str, Any] | None = None,
    battery: MakeBattery = make_battery,
    progress: Progress = silent,
) -> Verification:
    """Compares an export with a module. If they differ, the report has not passed; no exception is raised.

    Raises a SurgeryError when one of the two cannot be opened, or no table explains the module.
    """
    if not (exported / "saved_model.pb").is_file():
        raise ModuleError(f"opening the export {exported}: expected a saved_model.pb there")
    with open_module(module, with_weights=True) as source:
        export = open_export(exported)
        plan = _plan(source, export, exported, assume)
        opened = open_weights(plan, battery, allow_nonfinite=allow_nonfinite, progress=progress)
        report = judge(record(opened, progress), export, progress)
    return Verification(plan=plan, exported=exported, report=report, notes=_notes(source, exported))


def _plan(source: InspectedModule, export: InspectedModule, exported: Path, assume: Mapping[str, Any] | None) -> Plan:
    """The plan with which the module is compared: a conversion to the outputs that the export has."""
    try:
        return make_plan(source, exported, assume, read_request(exported, export.signatures))
    except UsageError:  # the export is one of another module: the comparison will list its superfluous outputs
        return make_plan(source, exported, assume)


def _notes(module: InspectedModule, exported: Path) -> tuple[str, ...]:
    try:
        source = read_manifest(exported)["source"]
    except FileNotFoundError:
        return (f"the export has no {MANIFEST}: it was not written by surgery, or it was removed",)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return (f"{MANIFEST} cannot be read: {error}",)
    if source.get("sha256") == dict(module.fingerprint):
        return (f"{MANIFEST} names this module's own files as its source",)
    return (f"{MANIFEST} names other files as its source ({source.get('name')}): the comparison does not depend on it",)
