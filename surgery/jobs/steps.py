"""Steps that convert, verify and edit share: open the weights, record, fill, look early, write, record the rest, judge.

The filled encoder is compared on two batches before the module runs on the others: a wrong one is found in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from surgery.errors import ParityError
from surgery.explanation.architecture import Architecture
from surgery.export.weights import Weights
from surgery.module import InspectedModule, Tensors
from surgery.planning.plan import Plan
from surgery.progress import Progress, counting, silent
from surgery.proof import float64
from surgery.proof.battery import Batch
from surgery.proof.comparison import Arrays, Recording, compare, compare_weights
from surgery.proof.contract import check_contract
from surgery.proof.expected import expected_outputs, inner_outputs
from surgery.proof.parity import ParityReport, Tolerance
from surgery.sources import inspect_folder, well_formed
from surgery.sources.files import Files

if TYPE_CHECKING:
    from surgery.tf.encoder import Encoder

FIRST_LOOK = 2
"""The number of batches on which the filled encoder is compared first, among the longest, where attention acts."""

MakeBattery = Callable[[Architecture], Sequence[Batch]]
"""Makes the batches for an encoder's architecture. `surgery.proof.battery.make_battery` makes the full battery."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A planned module whose weights are open. Every step of a job is a function of this value.

    Attributes:
        plan: The module, how it is explained, and the outputs that its export will have.
        tensors: The values of the module's variables, as it stores them.
        weights: The same values in the encoder's layout, with their hashes.
        battery: The batches on which the module, the encoder and the export are run.
    """

    plan: Plan
    tensors: Tensors
    weights: Weights
    battery: Sequence[Batch]


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """The module's side of a comparison. It is recorded once, and can be compared with any number of exports.

    Attributes:
        plan: The module, how it is explained, and the outputs that are compared.
        how: How the outputs were computed, for people.
        battery: The batches that were run.
        expected: The outputs that an export must return on each batch, by signature and output.
        inner: The outputs that were read from inside the module's graph, or computed from such tensors.
        hashes: SHA-256 of every weight in the encoder's layout, by target, and of the constants by attribute.
        nonfinite: Number of NaN and infinite values by variable of the module, where they are allowed.
    """

    plan: Plan
    how: str
    battery: Sequence[Batch]
    expected: Recording
    inner: tuple[str, ...]
    hashes: Mapping[str, str]
    nonfinite: Mapping[str, int]


def open_weights(
    plan: Plan, make_battery: MakeBattery, *, allow_nonfinite: bool = False, progress: Progress = silent
) -> Opened:
    """Starts TensorFlow and opens the module's values.

    Raises ModuleError when a variable is missing in the checkpoint, or has another shape there than in the graph.
    """
    progress("start TensorFlow", 0, 0)
    from surgery.tf.memory import importing

    with importing():
        import surgery.tf.recording  # noqa: F401 (which imports all of TensorFlow that a job needs)

    tensors = plan.module.open_tensors()
    tensors.check(assignment.variable for assignment in plan.weights.assignments)
    weights = Weights(plan.weights, tensors.read, plan.module.constants, allow_nonfinite=allow_nonfinite)
    return Opened(plan=plan, tensors=tensors, weights=weights, battery=make_battery(plan.inference.architecture))


def record(opened: Opened, progress: Progress = silent) -> Recorded:
    """Records the module on the whole battery, and computes the hashes of all weights."""
    recording = _run(opened, range(len(opened.battery)), progress)
    progress("hash the weights", 0, 0)
    return _recorded(opened, recording)


def rebuild(opened: Opened, folder: Path, tolerance: Tolerance, progress: Progress) -> Recorded:
    """Writes the filled encoder into `folder`, and records the module.

    The encoder's memory is freed before the other batches are recorded: together with the module's own variables, a
    conversion would need the memory of a third model. Raises ParityError when the encoder fails on the first two
    batches; the others are then not recorded, and nothing is written.
    """
    early = _run(opened, _first_look(opened.battery), progress)
    _write_encoder(opened, early, folder, tolerance, progress)
    others = [number for number in range(len(opened.battery)) if number not in early]
    return _recorded(opened, {**early, **_run(opened, others, progress, done=len(early))})


def open_export(folder: Path) -> InspectedModule:
    """An export on disk, inspected like a module. Its outputs keep the names that they have in the file."""
    return inspect_folder(Files(folder=folder, name=folder.name))


def judge(
    recorded: Recorded, exported: InspectedModule, tolerance: Tolerance | None = None, progress: Progress = silent
) -> ParityReport:
    """Compares a recorded module with an export on disk: outputs, weights and contract.

    If they differ, the report has not passed. Raises ModuleError when the export cannot be loaded or run.
    """
    from surgery.tf.recording import LoadedExport

    plan, tolerance = recorded.plan, tolerance or Tolerance()
    with well_formed(exported.folder):
        contract = check_contract(plan.module, exported, plan.inference, plan.weights, plan.outputs)
    progress("load the export", 0, 0)
    with LoadedExport(exported) as loaded:
        bits = compare_weights(recorded.hashes, loaded.hashes(list(recorded.hashes)))
        tick = counting(progress, "run the export", len(recorded.battery))
        replayed = loaded.replay(plan.inference, plan.outputs, recorded.battery, tick)
        outputs = compare(recorded.battery, recorded.expected, replayed, tolerance)
    return ParityReport(
        reference=recorded.how,
        tolerance=tolerance,
        batches=len(recorded.battery),
        outputs=outputs,
        weights=bits,
        contract=contract,
        nonfinite_weights=recorded.nonfinite,
        inner=recorded.inner,
        unmatched=tuple(
            f"{name}.{output}"
            for name, signature in plan.outputs.extra.items()
            for output in signature.outputs
            if not _is_in(f"{name}.{output}", recorded.expected)
        ),
    )


def _run(opened: Opened, numbers: Sequence[int], progress: Progress, *, done: int = 0) -> dict[int, Arrays]:
    """The outputs that an export must return on batches of the battery, by the batches' numbers.

    The module's own graph is run. For a checkpoint, which has no graph, its publisher's function is computed. `done` is
    the number of batches that are recorded already, for the progress.
    """
    from surgery.tf.recording import record_module

    plan, batches = opened.plan, [opened.battery[number] for number in numbers]
    if not batches:
        return {}
    if plan.inference.publisher is not None:
        blocks = partial(progress, "compute the reference")
        recording = float64.record_float64(
            plan.module, plan.inference, opened.tensors, batches, plan.outputs.taps, blocks
        )
    else:
        tick = counting(progress, "run the module", len(opened.battery), done)
        recording = record_module(plan.module, plan.inference, batches, plan.outputs.taps, tick)
    return dict(zip(numbers, expected_outputs(plan.inference, plan.outputs, batches, recording), strict=True))


def _write_encoder(
    opened: Opened, early: Mapping[int, Arrays], folder: Path, tolerance: Tolerance, progress: Progress
) -> None:
    from surgery.tf.building import build_encoder
    from surgery.tf.export import Export, write_saved_model

    plan = opened.plan
    progress("build the encoder", 0, 0)
    encoder = build_encoder(plan.inference, opened.weights)
    _look(opened, encoder, early, tolerance)
    progress("write the SavedModel", 0, 0)
    constants = opened.weights.constants()
    write_saved_model(Export(module=plan.module, encoder=encoder, constants=constants, outputs=plan.outputs), folder)


def _recorded(opened: Opened, recording: Mapping[int, Arrays]) -> Recorded:
    """The recording of the whole battery, in the battery's order."""
    from surgery.tf.recording import REFERENCE

    plan = opened.plan
    checkpoint = plan.inference.publisher is not None
    expected = [recording[number] for number in range(len(opened.battery))]
    inner = () if checkpoint else inner_outputs(plan.inference, plan.outputs)
    return Recorded(
        plan=plan,
        how=float64.description(plan.module) if checkpoint else REFERENCE,
        battery=opened.battery,
        expected=expected,
        inner=tuple(name for name in inner if _is_in(name, expected)),
        hashes=opened.weights.hashes(),
        nonfinite=dict(opened.weights.nonfinite),
    )


def _first_look(battery: Sequence[Batch]) -> list[int]:
    """Numbers of the batches that are compared first: the longest of those with sub-models."""
    whole = (number for number, batch in enumerate(battery) if batch.submodels)
    return sorted(whole, key=lambda number: -battery[number].length)[:FIRST_LOOK]


def _look(opened: Opened, encoder: Encoder, recording: Mapping[int, Arrays], tolerance: Tolerance) -> None:
    """Compares the filled encoder with the batches recorded so far, in the outputs that both have.

    Raises ParityError at the first output that fails.
    """
    from surgery.tf.recording import record_encoder

    batches = [opened.battery[number] for number in recording]
    found = record_encoder(encoder, batches)
    shown = [
        {name: outputs[name] for name in outputs.keys() & got.keys()}
        for outputs, got in zip(recording.values(), found, strict=True)
    ]
    failed = [diff for diff in compare(batches, shown, found, tolerance) if not diff.passed]
    if failed:
        raise ParityError(
            f"trying the filled encoder of {opened.plan.module.name}: the first output to diverge is {failed[0].name}, "
            f"max abs error {failed[0].max_abs:.3g}, {failed[0].worst_batch}; nothing was written",
            hint="the module computes something that its weight table does not say: please report it",
        )


def _is_in(name: str, recording: Recording) -> bool:
    return any(name in outputs for outputs in recording)
