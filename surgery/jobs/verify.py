"""The comparison alone: any module against any export of it, made now, earlier, or tampered with since."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from surgery.errors import ModuleError, UsageError
from surgery.export.manifest import MANIFEST, read_manifest, read_request
from surgery.export.weights import Weights
from surgery.jobs.steps import check_export, record_reference
from surgery.planning.plan import Plan, make_plan
from surgery.progress import Progress, silent
from surgery.proof.parity import ParityReport, Tolerance
from surgery.sources import inspect_folder
from surgery.sources.files import Files
from surgery.sources.opening import open_module


@dataclass(frozen=True)
class Verification:
    """The verdict on an export. `notes` say what its manifest tells beside it, a line each."""

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
    tolerance: Tolerance | None = None,
    allow_nonfinite: bool = False,
    assume: dict[str, Any] | None = None,
    progress: Progress = silent,
) -> Verification:
    """Compares an export with a module. A miss is a report that has not passed, not an exception.

    Raises SurgeryError when either side cannot be opened or the module is not explained.
    """
    if not (exported / "saved_model.pb").is_file():
        raise ModuleError(f"opening the export {exported}: expected a saved_model.pb there")
    with open_module(module, with_weights=True) as source:
        told = (exported / MANIFEST).is_file()
        request = read_request(exported, {} if told else inspect_folder(Files(exported, exported.name)).signatures)
        try:
            plan = make_plan(source, exported, assume, request)
        except UsageError:  # what was asked of another module: the comparison will say what is there too much
            plan = make_plan(source, exported, assume)
        reference = record_reference(plan, progress)
        progress("hash the weights", 0, 0)
        weights = Weights(plan.weights, reference.tensors.read, source.constants, allow_nonfinite=allow_nonfinite)
        report = check_export(plan, exported, reference, weights, tolerance or Tolerance(), progress)
        return Verification(plan, exported, report, tuple(_notes(source.fingerprint, exported)))


def _notes(fingerprint: Any, exported: Path) -> list[str]:
    try:
        source = read_manifest(exported)["source"]
    except FileNotFoundError:
        return [f"the export has no {MANIFEST}: it was not written by surgery, or it was removed"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return [f"{MANIFEST} cannot be read: {error}"]
    if source.get("sha256") == dict(fingerprint):
        return [f"{MANIFEST} names this module's own files as its source"]
    return [f"{MANIFEST} names other files as its source ({source.get('name')}): the comparison does not depend on it"]
