"""The comparison of an edited export with what its manifest says: the edits are made again on the module.

Edits are read from the manifest in words. Those that keep or drop blocks or remove heads can be made again, and the
whole export is compared with the result. A layer that was inserted or put in a block's place is not in the manifest:
then the outputs before the first such effect are compared with the module's, and nothing proves the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from surgery.errors import UsageError
from surgery.export.weights import Weights
from surgery.jobs.edited_export import check_edited, edited_hashes, write_edited
from surgery.jobs.opened import MakeBattery, open_weights
from surgery.jobs.steps import Recorded, make_report, rebuild, record
from surgery.module import InspectedModule
from surgery.planning.edit_words import read_edit
from surgery.planning.edits import EditedPlan, apply_edits
from surgery.planning.plan import Plan
from surgery.planning.requests import Request
from surgery.progress import Progress, counting, silent
from surgery.proof.comparison import Outputs, compare
from surgery.proof.parity import ParityReport, compare_weights


@dataclass(frozen=True, kw_only=True)
class StatedEdits:
    """The edits that a manifest names.

    Attributes:
        words: Each edit in words.
        plan: The edits, made on the module's plan; None if they cannot be made.
        problem: Why they cannot be made; "" if they can.
    """

    words: tuple[str, ...]
    plan: EditedPlan | None = None
    problem: str = ""


def named_edits(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """The edits that a manifest names, in words; empty for one that names none, or not in the form of a manifest."""
    try:
        return tuple(str(row["edit"]) for row in manifest["edits"]["applied"])
    except (LookupError, TypeError):
        return ()


def stated_edits(data: Any, plan: Plan, request: Request) -> StatedEdits:
    """Makes the edits of a manifest on a module's plan. `data` is the value of the manifest's key `edits`."""
    words = named_edits({"edits": data})
    if not words:
        return StatedEdits(words=(), problem="edits.applied: expected a list of edits")
    try:
        edits = [read_edit(edit) for edit in words]
        return StatedEdits(words=words, plan=_made(plan, edits, request))
    except (UsageError, ValueError) as error:
        return StatedEdits(words=words, problem=f"edits.applied: {error}")


def _made(plan: Plan, edits: list[Any], request: Request) -> EditedPlan:
    """The edited plan with the outputs of the request, or with all outputs if the edited encoder cannot have those."""
    try:
        return apply_edits(plan, edits, request)
    except UsageError:
        return apply_edits(plan, edits)


def record_edited(
    edited: EditedPlan,
    plan: Plan,
    battery: MakeBattery,
    *,
    allow_nonfinite: bool = False,
    progress: Progress = silent,
) -> Recorded:
    """What an export of these edits must be. `plan` is that of the unedited module.

    The outputs that no edit reaches are the module's own. The others are those of the encoder in memory, which is
    edited again after it has been compared with the module; if it has an unknown layer, they are left out.
    """
    opened = open_weights(plan, battery, allow_nonfinite=allow_nonfinite, progress=progress)
    weights = Weights(edited.plan.weights, opened.tensors.read, plan.module.constants, allow_nonfinite=allow_nonfinite)
    if edited.has_unknown_layers:
        module = record(opened, progress)
        expected = [_only(outputs, edited.unchanged_outputs) for outputs in module.expected]
        recorded = replace(module, plan=edited.plan, expected=expected, hashes=edited_hashes(edited, weights))
    else:
        module = rebuild(opened, None, progress)
        again = write_edited(edited, weights, opened.battery, None, progress)
        expected = [
            _both(_only(own, edited.unchanged_outputs), made)
            for own, made in zip(module.expected, again.expected, strict=True)
        ]
        recorded = replace(
            again,
            expected=expected,
            how=f"{module.how} and, after an edit, {again.how}",
            formulas=tuple(dict.fromkeys((*module.formulas, *again.formulas))),
            nonfinite=module.nonfinite,
        )
    return replace(recorded, inner=tuple(name for name in module.inner if name in edited.unchanged_outputs))


def judge_again(
    edited: EditedPlan, recorded: Recorded, exported: InspectedModule, progress: Progress = silent
) -> ParityReport:
    """Compares an edited export with what it must be: outputs, weights and contract."""
    from surgery.tf.recording import LoadedExport

    plan, battery = edited.plan, recorded.battery
    contract = check_edited(edited, exported)
    progress("load the export", 0, 0)
    with LoadedExport(exported) as loaded:
        bits = compare_weights(recorded.hashes, loaded.hashes(list(recorded.hashes)))
        tick = counting(progress, "run the export", len(battery))
        replayed = loaded.replay(plan.inference, plan.outputs, battery, recorded.expected, tick)
        outputs = compare(battery, recorded.expected, replayed, loaded.same_as)
    report = make_report(recorded, outputs, bits, contract, loaded)
    return replace(report, unmatched=()) if edited.has_unknown_layers else report


def _only(outputs: Outputs, names: tuple[str, ...]) -> Outputs:
    return Outputs(
        float64={name: outputs.float64[name] for name in names if name in outputs.float64},
        float32={name: outputs.float32[name] for name in names if name in outputs.float32},
    )


def _both(first: Outputs, second: Outputs) -> Outputs:
    """The outputs of `first`, and those of `second` that `first` lacks in either precision."""
    named = {*first.float64, *first.float32}
    return Outputs(
        float64={**{n: v for n, v in second.float64.items() if n not in named}, **first.float64},
        float32={**{n: v for n, v in second.float32.items() if n not in named}, **first.float32},
    )
