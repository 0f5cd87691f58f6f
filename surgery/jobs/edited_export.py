"""The edited encoder is written, and compared with itself in memory and with the unedited export."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from surgery.errors import UsageError
from surgery.export.weights import Weights, sha256
from surgery.jobs.steps import Recorded, make_report
from surgery.module import DEFAULT_SIGNATURE, InspectedModule
from surgery.planning.edits import EditedBlock, EditedPlan
from surgery.progress import Progress, counting
from surgery.proof.battery import Batch
from surgery.proof.comparison import Outputs, Recording, compare
from surgery.proof.contract import check_contract, check_interface
from surgery.proof.effects import check_effects
from surgery.proof.expected import expected_outputs
from surgery.proof.parity import ParityReport, compare_weights
from surgery.sources import well_formed

IN_MEMORY = "the edited encoder in memory"


def write_edited(
    edited: EditedPlan, weights: Weights, battery: Sequence[Batch], folder: Path | None, progress: Progress
) -> Recorded:
    """Edits the encoder, records its outputs in memory, and writes it into `folder` unless that is None.

    The encoder's memory is free when this returns. Raises UsageError for a layer that does not fit.
    """
    from surgery.tf.building import build_encoder
    from surgery.tf.encoder import edit_encoder
    from surgery.tf.export import Export, Traces, write_saved_model
    from surgery.tf.in_memory import InMemory

    plan = edited.plan
    progress("edit the encoder", 0, 0)
    try:
        encoder = edit_encoder(build_encoder(plan.inference, weights), edited.blocks)
        traces = Traces(encoder, plan.outputs)
        in_memory = InMemory(traces, tapped=bool(plan.outputs.taps))
        recording = in_memory.record(battery)
    except (ValueError, TypeError) as error:  # Keras raises them for a layer that does not fit
        raise UsageError(
            f"running the edited encoder: {error}", hint="layers take and give [batch, seq, hidden]"
        ) from error
    expected = expected_outputs(plan.inference, plan.outputs, battery, recording)
    if folder is not None:
        progress("write the SavedModel", 0, 0)
        write_saved_model(Export(module=plan.module, traces=traces, constants=weights.constants()), folder)
    return Recorded(
        plan=plan,
        how=IN_MEMORY,
        battery=battery,
        expected=expected,
        inner=(),
        hashes=edited_hashes(edited, weights),
        nonfinite={},
        formulas=in_memory.formulas,
        lacking=in_memory.lacking,
    )


def judge_edited(
    edited: EditedPlan,
    in_memory: Recorded,
    exported: InspectedModule,
    unedited: InspectedModule,
    progress: Progress,
) -> ParityReport:
    """Compares an edited export with its encoder in memory, and with the unedited export where no edit acts."""
    from surgery.tf.recording import LoadedExport

    plan, battery = edited.plan, in_memory.battery
    contract = check_edited(edited, exported)
    tick = counting(progress, "run the export", len(battery))
    with LoadedExport(exported) as loaded:
        bits = compare_weights(in_memory.hashes, loaded.hashes(list(in_memory.hashes)))
        found = list(loaded.replay(plan.inference, plan.outputs, battery, in_memory.expected, tick))
    moved = _compare_unchanged(edited, unedited, battery, found)
    outputs = compare(battery, in_memory.expected, found, loaded.same_as)
    return make_report(in_memory, outputs, bits, (*contract, *moved), loaded)


def check_edited(edited: EditedPlan, exported: InspectedModule) -> tuple[str, ...]:
    """Breaches of the contract by an edited export, one line each."""
    plan = edited.plan
    with well_formed(exported.folder):
        if edited.rebuilt:
            # A layer of the caller's own may write: batch normalisation keeps its averages so.
            effects = () if edited.has_unknown_layers else tuple(check_effects(exported))
            return (*check_interface(plan.module, exported, plan.inference, plan.outputs), *effects)
        return check_contract(plan.module, exported, plan.inference, plan.weights, plan.outputs)


def edited_hashes(edited: EditedPlan, weights: Weights) -> dict[str, str]:
    """SHA-256 of every weight of the module that the edited encoder has, without the heads that were removed.

    The constants are among them. Weights of a block that a layer has replaced are not.
    """
    shared = edited.plan.inference.family.repeated is not None
    hashes = {attribute: sha256(value) for attribute, value in weights.constants().items()}
    for claim in edited.plan.inference.claims:
        number = claim.holes.get("layer")
        block = edited.blocks[int(number or 0)]
        if shared or number is None or block.replaced is None:
            targets = [target for target in claim.targets if target in weights]  # not those of a head that is no part
            hashes |= {target: sha256(_without_heads(target, weights, block)) for target in targets}
    return hashes


def _without_heads(target: str, weights: Weights, block: EditedBlock) -> np.ndarray:
    """The module's weight in the encoder's layout, without the heads that an edit removes from its block.

    The weight's layout says which axis counts heads.
    """
    value = weights.value(target)
    axes = [group[0] for group in weights.assignments[target].layout.right]
    return np.delete(value, list(block.pruned), axis=axes.index("heads")) if block.pruned and "heads" in axes else value


def _compare_unchanged(
    edited: EditedPlan, unedited: InspectedModule, battery: Sequence[Batch], found: Recording
) -> tuple[str, ...]:
    """A line for each output before the first effect of an edit that is not bit-equal to the unedited export's.

    Both exports are reloaded and run by the same runner.
    """
    from surgery.tf.recording import LoadedExport

    plan = edited.plan
    plain = replace(plan.outputs, signatures={DEFAULT_SIGNATURE: plan.outputs.signatures[DEFAULT_SIGNATURE]})
    with LoadedExport(unedited) as loaded:
        before = list(loaded.replay(plan.inference, plain, battery, [Outputs(float64={})] * len(battery)))
    return tuple(
        f"{name}: before the first effect of an edit, and not bit-equal to the unedited export's"
        for name in edited.unchanged_outputs
        if not all(_equal(a, b, name) for a, b in zip(before, found, strict=True))
    )


def _equal(before: Outputs, after: Outputs, name: str) -> bool:
    """Whether an output has the same bits on both sides, in double precision and in float32, and is there at all."""
    sides = [(before.float64, after.float64), (before.float32, after.float32)]
    pairs = [(a[name], b.get(name)) for a, b in sides if name in a]
    return bool(pairs) and all(b is not None and np.array_equal(a, b, equal_nan=True) for a, b in pairs)
