"""Steps that convert, verify and edit share: open the weights, record, fill, look early, write, record the rest, judge.

The filled encoder is compared on two batches before the module runs on the others: a wrong one is found in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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
from surgery.proof.battery import Batch, first_look
from surgery.proof.comparison import ModuleRecording, Outputs, Recording, compare, compare_weights
from surgery.proof.contract import check_contract
from surgery.proof.expected import expected_outputs, inner_outputs
from surgery.proof.parity import OutputDiff, ParityReport, WeightCheck
from surgery.sources import inspect_folder, well_formed
from surgery.sources.files import Files

if TYPE_CHECKING:
    from surgery.tf.export import Traces
    from surgery.tf.recording import LoadedExport

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
        formulas: Names of the formulas whose exact values took the place of their float32 roundings.
        lacking: The types of operations without a kernel for double precision, by the output that lacks for them.
    """

    plan: Plan
    how: str
    battery: Sequence[Batch]
    expected: Recording
    inner: tuple[str, ...]
    hashes: Mapping[str, str]
    nonfinite: Mapping[str, int]
    formulas: tuple[str, ...] = ()
    lacking: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def names(self) -> frozenset[str]:
        """The names of all outputs."""
        return frozenset(name for outputs in self.expected for name in (*outputs.float64, *outputs.float32))


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
    return _recorded(opened, [recording])


def rebuild(opened: Opened, folder: Path, progress: Progress) -> Recorded:
    """Writes the filled encoder into `folder`, and records the module.

    The encoder's memory is freed before the other batches are recorded: together with the module's own variables, a
    conversion would need the memory of a third model. Raises ParityError when the encoder fails on the first batches;
    the others are then not recorded, and nothing is written.
    """
    first = first_look(opened.battery)
    early = _run(opened, first, progress)
    _write_encoder(opened, early, folder, progress)
    others = [number for number in range(len(opened.battery)) if number not in first]
    return _recorded(opened, [early, _run(opened, others, progress, done=len(first))])


def open_export(folder: Path) -> InspectedModule:
    """An export on disk, inspected like a module. Its outputs keep the names that they have in the file."""
    return inspect_folder(Files(folder=folder, name=folder.name))


def judge(recorded: Recorded, exported: InspectedModule, progress: Progress = silent) -> ParityReport:
    """Compares a recorded module with an export on disk: outputs, weights and contract.

    If they differ, the report has not passed. Raises ModuleError when the export cannot be loaded or run.
    """
    from surgery.tf.recording import LoadedExport

    plan = recorded.plan
    with well_formed(exported.folder):
        contract = check_contract(plan.module, exported, plan.inference, plan.weights, plan.outputs)
    progress("load the export", 0, 0)
    with LoadedExport(exported) as loaded:
        bits = compare_weights(recorded.hashes, loaded.hashes(list(recorded.hashes)))
        tick = counting(progress, "run the export", len(recorded.battery))
        replayed = loaded.replay(plan.inference, plan.outputs, recorded.battery, recorded.expected, tick)
        outputs = compare(recorded.battery, recorded.expected, replayed, loaded.same_as)
    return make_report(recorded, outputs, bits, contract, loaded)


def make_report(
    recorded: Recorded,
    outputs: tuple[OutputDiff, ...],
    weights: WeightCheck,
    contract: tuple[str, ...],
    loaded: LoadedExport,
) -> ParityReport:
    """The report of a comparison of a recorded side with a reloaded export."""
    plan = recorded.plan
    return ParityReport(
        reference=recorded.how,
        batches=len(recorded.battery),
        float32_batches=sum(batch.float32 for batch in recorded.battery),
        outputs=outputs,
        weights=weights,
        contract=contract,
        nonfinite_weights=recorded.nonfinite,
        inner=recorded.inner,
        unmatched=tuple(
            f"{name}.{output}"
            for name, signature in plan.outputs.extra.items()
            for output in signature.outputs
            if f"{name}.{output}" not in recorded.names
        ),
        formulas=tuple(dict.fromkeys((*recorded.formulas, *loaded.formulas))),
        lacking={**recorded.lacking, **loaded.lacking},
    )


def _run(opened: Opened, numbers: Sequence[int], progress: Progress, *, done: int = 0) -> Ran:
    """Runs the module on batches of the battery.

    The module's own graph is run. For a checkpoint, which has no graph, its publisher's function is computed. `done` is
    the number of batches that are recorded already, for the progress.
    """
    from surgery.tf.recording import record_module

    plan, batches = opened.plan, [opened.battery[number] for number in numbers]
    if not batches:
        return Ran(outputs={})
    if plan.inference.publisher is not None:
        blocks = partial(progress, "compute the reference")
        recording = ModuleRecording(
            outputs=float64.record_float64(
                plan.module, plan.inference, opened.tensors, batches, plan.outputs.taps, blocks
            )
        )
    else:
        tick = counting(progress, "run the module", len(opened.battery), done)
        recording = record_module(plan.module, plan.inference, batches, plan.outputs.taps, tick)
    expected = expected_outputs(plan.inference, plan.outputs, batches, recording.outputs)
    return Ran(
        outputs=dict(zip(numbers, expected, strict=True)), formulas=recording.formulas, lacking=recording.lacking
    )


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A run of the module on some batches.

    Attributes:
        outputs: The outputs that an export must return, by the batches' numbers.
        formulas: As in Recorded.
        lacking: As in Recorded.
    """

    outputs: Mapping[int, Outputs]
    formulas: tuple[str, ...] = ()
    lacking: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def _write_encoder(opened: Opened, early: Ran, folder: Path, progress: Progress) -> None:
    from surgery.tf.building import build_encoder
    from surgery.tf.export import Export, Traces, write_saved_model

    plan = opened.plan
    progress("build the encoder", 0, 0)
    traces = Traces(build_encoder(plan.inference, opened.weights), plan.outputs)
    progress("compare the encoder", 0, 0)
    _look(opened, traces, early.outputs)
    progress("write the SavedModel", 0, 0)
    constants = opened.weights.constants()
    write_saved_model(Export(module=plan.module, traces=traces, constants=constants), folder)


def _recorded(opened: Opened, runs: Sequence[Ran]) -> Recorded:
    """The recording of the whole battery, in the battery's order."""
    from surgery.tf.recording import REFERENCE

    plan = opened.plan
    checkpoint = plan.inference.publisher is not None
    found = {number: outputs for run in runs for number, outputs in run.outputs.items()}
    expected = [found[number] for number in range(len(opened.battery))]
    inner = () if checkpoint else inner_outputs(plan.inference, plan.outputs)
    return Recorded(
        plan=plan,
        how=float64.description(plan.module) if checkpoint else REFERENCE,
        battery=opened.battery,
        expected=expected,
        inner=tuple(name for name in inner if any(name in outputs.float64 for outputs in expected)),
        hashes=opened.weights.hashes(),
        nonfinite=dict(opened.weights.nonfinite),
        formulas=tuple(dict.fromkeys(name for run in runs for name in run.formulas)),
        lacking={name: ops for run in runs for name, ops in run.lacking.items()},
    )


def _look(opened: Opened, traces: Traces, recording: Mapping[int, Outputs]) -> None:
    """Compares the filled encoder with the batches recorded so far, in the outputs that both have.

    Raises ParityError at the first output that fails.
    """
    from surgery.tf.in_memory import InMemory

    encoder = InMemory(traces, tapped=bool(opened.plan.outputs.taps))
    batches = [opened.battery[number] for number in recording]
    found = [encoder.run(batch) for batch in batches]
    shown = [_shared(outputs, got) for outputs, got in zip(recording.values(), found, strict=True)]
    failed = [diff for diff in compare(batches, shown, found) if not diff.passed]
    if failed:
        raise ParityError(
            f"trying the filled encoder of {opened.plan.module.name}: the first output to diverge is {failed[0].name}, "
            f"{failed[0].failure}; nothing was written",
            hint="the module computes something that its weight table does not say: please report it",
        )


def _shared(expected: Outputs, found: Outputs) -> Outputs:
    """The expected outputs that were found, too. Both are compared in double precision if they can be."""
    return Outputs(
        float64={name: value for name, value in expected.float64.items() if name in found.float64},
        float32={name: v for name, v in expected.float32.items() if name in found.float32},
    )
