"""Steps that convert, verify and edit share: open the weights, record, fill, look early, write, record the rest, judge.

The filled encoder is compared on two batches before the module runs on the others: a wrong one is found in seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from surgery.errors import LimitError, ModuleError, ParityError
from surgery.explanation.convention import Convention
from surgery.jobs.opened import Opened
from surgery.jobs.reference import Ran, reference_of, run
from surgery.module import InspectedModule
from surgery.planning.plan import Plan
from surgery.processes.background import background
from surgery.progress import Progress, counting, silent
from surgery.proof import float64
from surgery.proof.battery import Batch, first_look
from surgery.proof.calls import CALL
from surgery.proof.comparison import Arrays, Outputs, Recording, compare, names_of
from surgery.proof.contract import check_contract
from surgery.proof.expected import inner_outputs, judged_names
from surgery.proof.parity import OutputDiff, ParityReport, WeightCheck, compare_weights
from surgery.scanning.gate import let_through
from surgery.sources import inspect_folder, well_formed
from surgery.sources.files import Files

if TYPE_CHECKING:
    from surgery.tf.export import Traces
    from surgery.tf.recording import LoadedExport


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
        return names_of(self.expected)


def record(opened: Opened, progress: Progress = silent) -> Recorded:
    """Records the module on the whole battery, and computes the hashes of all weights."""
    with reference_of(opened) as reference:
        recording = run(opened, reference, dict(enumerate(opened.battery)), progress)
    progress("hash the weights", 0, 0)
    return _recorded(opened, [recording])


def rebuild(opened: Opened, folder: Path | None, progress: Progress) -> Recorded:
    """Compares the filled encoder with the module, writes it into `folder` unless that is None, and records the module.

    The encoder's memory is freed before the other batches are recorded. Raises ParityError when the encoder fails on
    the first batches; the others are then not recorded, and nothing is written.
    """
    from surgery.tf.export import Export, write_saved_model
    from surgery.tf.memory import give_back
    from surgery.tf.recording import SMALL

    first, rest = first_look(opened.battery)
    with reference_of(opened) as reference:
        early = run(opened, reference, first, progress)
        if opened.plan.module.weight_bytes > SMALL:
            reference.close()
        traces = _tried_encoder(opened, list(first.values()), early, progress)
        if folder is not None:
            progress("write the SavedModel", 0, 0)
            constants = opened.weights.constants()
            write_saved_model(Export(module=opened.plan.module, traces=traces, constants=constants), folder)
        del traces
        if opened.plan.module.weight_bytes > SMALL:
            give_back()  # Keras's cycles hold the encoder's variables
        later = run(opened, reference, rest, progress)
    return _recorded(opened, [early, later])


def open_export(folder: Path, *, trust: bool = False) -> InspectedModule:
    """An export on disk, inspected and let through the gate like a module. Its outputs keep the names in the file."""
    return let_through(inspect_folder(Files(folder=folder, name=folder.name)), trust=trust)


def judge(recorded: Recorded, exported: InspectedModule, progress: Progress = silent) -> ParityReport:
    """Compares a recorded module with an export on disk: outputs, weights and contract.

    If they differ, the report has not passed. An export of another encoder may refuse the module's batches, such as
    token ids beyond its vocabulary: the report then has no outputs. Raises ModuleError when the export cannot be
    loaded, and when it cannot be run although its weights and contract are the module's.
    """
    from surgery.tf.recording import SMALL, LoadedExport

    plan = recorded.plan
    with well_formed(exported.folder):
        contract = check_contract(plan.module, exported, plan.inference, plan.weights, plan.outputs)
    progress("load the export", 0, 0)
    small = exported.weight_bytes <= SMALL
    with LoadedExport(exported) as loaded, background("hash", at_once=small) as thread:  # while the graphs are imported
        bits = thread.start(lambda: compare_weights(recorded.hashes, loaded.hashes(list(recorded.hashes))))
        tick = counting(progress, "run the export", len(recorded.battery))
        try:
            replayed = loaded.replay(plan.inference, plan.outputs, recorded.battery, recorded.expected, tick)
            bits.result()  # the runs use the memory that hashing has taken
            outputs = compare(recorded.battery, recorded.expected, replayed, loaded.same_as)
        except ModuleError as error:
            if isinstance(error, LimitError) or (bits.result().passed and not contract):
                raise
            outputs, contract = (), (f"the export cannot be run on the module's inputs: {error.message}", *contract)
    return make_report(recorded, outputs, bits.result(), contract, loaded)


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
        contract=(*contract, *loaded.problems),
        nonfinite_weights=recorded.nonfinite,
        inner=recorded.inner,
        unmatched=tuple(name for name in judged_names(plan.inference, plan.outputs) if name not in recorded.names),
        formulas=tuple(dict.fromkeys((*recorded.formulas, *loaded.formulas))),
        lacking={**recorded.lacking, **loaded.lacking},
        blocks=plan.inference.outputs.blocks_of([diff.name for diff in outputs], plan.outputs.tap_names),
    )


def _tried_encoder(opened: Opened, looked_at: Sequence[Batch], early: Ran, progress: Progress) -> Traces:
    """The filled encoder, which has been compared with the module's first outputs."""
    from surgery.tf.building import build_encoder
    from surgery.tf.export import Traces

    plan = opened.plan
    progress("build the encoder", 0, 0)
    traces = Traces(build_encoder(plan.inference, opened.weights), plan.outputs)
    progress("compare the encoder", 0, 0)
    _look(plan.module.name, traces, looked_at, list(early.outputs.values()))
    return traces


def _called(expected: Arrays, names: Iterable[str]) -> Arrays:
    """The outputs of the call among the expected ones, by plain name.

    Those that no signature returns in the same way have names of their own.
    """
    by_name = {name: next((n for n in (f"{CALL}.{name}", name) if n in expected), None) for name in names}
    return {name: expected[found] for name, found in by_name.items() if found is not None}


def _recorded(opened: Opened, runs: Sequence[Ran]) -> Recorded:
    """The recording of the whole battery, in the battery's order."""
    from surgery.tf.recording import REFERENCE

    plan = opened.plan
    checkpoint = plan.inference.publisher is not None
    expected = [_joined(run.outputs[n] for run in runs if n in run.outputs) for n in range(len(opened.battery))]
    inner = () if checkpoint else inner_outputs(plan.inference, plan.outputs)
    return Recorded(
        plan=plan,
        how=float64.description(plan.module) if checkpoint else REFERENCE + _shape_of(plan.inference.convention),
        battery=opened.battery,
        expected=expected,
        inner=tuple(name for name in inner if any(name in outputs.float64 for outputs in expected)),
        hashes=opened.weights.hashes(),
        nonfinite=dict(opened.weights.nonfinite),
        formulas=tuple(dict.fromkeys(name for run in runs for name in run.formulas)),
        lacking={name: ops for run in runs for name, ops in run.lacking.items()},
    )


def _shape_of(call: Convention) -> str:
    """The shape of the inputs that the module's graph takes, for people; "" if it takes any."""
    sizes = [(call.rows, "rows"), (call.length, "tokens")]
    fixed = " and ".join(f"{size} {name}" for size, name in sizes if size is not None)
    return f", which takes {fixed} only" if fixed else ""


def _joined(parts: Iterable[Outputs]) -> Outputs:
    """The outputs of one batch, which were recorded in several runs."""
    float64: dict[str, Any] = {}
    float32: dict[str, Any] = {}
    for part in parts:
        float64.update(part.float64)
        float32.update(part.float32)
    return Outputs(float64=float64, float32=float32)


def _look(name: str, traces: Traces, batches: Sequence[Batch], expected: Sequence[Outputs]) -> None:
    """Compares the filled encoder of a module with the outputs recorded so far, as far as both have them.

    Raises ParityError at the first output that fails.
    """
    from surgery.tf.in_memory import InMemory

    encoder = InMemory(traces, tapped=bool(traces.outputs.taps))
    found = encoder.record(batches)
    shown = [
        Outputs(float64=_called(outputs.float64, got.float64)) for outputs, got in zip(expected, found, strict=True)
    ]
    failed = [diff for diff in compare(batches, shown, found) if not diff.passed]
    if failed:
        raise ParityError(
            f"trying the filled encoder of {name}: the first output to diverge is {failed[0].name}, "
            f"{failed[0].failure}; nothing was written",
            hint="the module computes something that its weight table does not say: please report it",
        )
