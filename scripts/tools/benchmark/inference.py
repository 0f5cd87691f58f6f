"""Measures inference: the source, exports in their forms, and other runtimes, in one run with all sides by turns.

Every side is a process in the environment of its runtime. Before a side is timed, its outputs are compared with the
source's on a half filled request. All sides return every block output, except those that are named after what they
return.
"""

import contextlib
import dataclasses
import pathlib
import tempfile
from collections.abc import Iterable, Mapping, Sequence

from scripts.tools.benchmark import models, rounds
from scripts.tools.benchmark.comparison import Comparison
from scripts.tools.benchmark.fixture import Fixture
from scripts.tools.benchmark.programs.inputs import FULL, HALF, Case
from scripts.tools.benchmark.progress import say
from scripts.tools.benchmark.sides import FUSED, MATMULS, OPENVINO, SIDES, SOURCE, SOURCE_AGAIN, TORCH, Side
from scripts.tools.benchmark.workers import Worker, WorkerFailed

TOPIC = "inference"
CHECKED = Case(4, 32, HALF)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Effort:
    """How often the sides are run on requests of one size.

    Attributes:
        turns: Samples of each side.
        calls: Calls of a side in each turn, whose median is the sample.
    """

    turns: int
    calls: int


EFFORTS = {
    (1, 16): Effort(turns=15, calls=5),
    (1, 128): Effort(turns=9, calls=1),
    (8, 128): Effort(turns=5, calls=1),
    (32, 64): Effort(turns=3, calls=1),
}
WARM_UP = 1


def measure_inference(fixture: Fixture, repeats: int | None) -> list[Comparison]:
    """Compare all sides on all sizes of requests, by time, by the time to load, and by peak memory.

    `repeats` is the number of turns; None for those of EFFORTS.
    """
    with contextlib.ExitStack() as stack:
        workers = start(fixture, SIDES, stack)
        sides = [side for side in SIDES if side.model in workers]
        check(sides, workers)
        timed: dict[Case, dict[str, list[float]]] = {}
        for fill in (FULL, HALF):
            for (rows, length), effort in EFFORTS.items():
                case = Case(rows, length, fill)
                say(f"{case.shape}, {fill}")
                timed[case] = rounds.by_turns(
                    {side.name: caller(workers[side.model], side, case) for side in sides},
                    turns=repeats or effort.turns,
                    calls=effort.calls,
                    warm_up=WARM_UP,
                )
        peaks = {name: float(worker.ask(do="memory")["peak"]) for name, worker in workers.items()}
        loads = {name: worker.load for name, worker in workers.items()}
    return compare_times(timed) + compare_once(sides, loads, "load", "s") + compare_once(sides, peaks, "memory", "MiB")


def start(fixture: Fixture, sides: Iterable[Side], stack: contextlib.ExitStack) -> dict[str, Worker]:
    """Start the process of each model. One that is not available is left out, and the reason is shown."""
    workers: dict[str, Worker] = {}
    commands: dict[str, list[str]] = {}
    for model in dict.fromkeys(side.model for side in sides):
        try:
            commands[model] = models.command(models.MODELS[model], fixture)
        except models.Unavailable as reason:
            say(f"not compared with {model}: {reason}")
    for model, command in commands.items():
        try:
            workers[model] = stack.enter_context(Worker(command, fixture.root))
        except WorkerFailed as reason:
            say(f"not compared with {model}: {reason}")
            continue
        say(f"{model}: {workers[model].version}, loaded in {workers[model].load:.2f} s")
    if SOURCE not in workers:
        raise SystemExit("the source itself cannot be run, so there is nothing to compare with")
    return workers


def check(sides: Iterable[Side], workers: Mapping[str, Worker]) -> None:
    """Compare the outputs of all sides with the source's. Raises SystemExit for a side that computes other numbers."""
    with tempfile.TemporaryDirectory() as folder:
        file = str(pathlib.Path(folder) / "reference.npz")
        workers[SOURCE].ask(do="record", case=CHECKED, file=file)
        for side in sides:
            if side.is_checked:
                answer = workers[side.model].ask(do="check", signature=side.signature, case=CHECKED, file=file)
                if answer["problem"]:
                    raise SystemExit(f"{side.name} does not compute what the source computes: {answer['problem']}")


def caller(worker: Worker, side: Side, case: Case) -> rounds.Caller:
    """Return a function that runs a side a number of times, and returns the milliseconds of each call."""

    def call(calls: int) -> list[float]:
        answer = worker.ask(do="time", signature=side.signature, case=case, calls=calls)
        return [float(milliseconds) for milliseconds in answer["milliseconds"]]

    return call


def compare_times(timed: Mapping[Case, Mapping[str, list[float]]]) -> list[Comparison]:
    """Compare every side with the source, and the fused export also with torch and OpenVINO."""
    found = []
    for case, samples in timed.items():
        pairs = [(name, SOURCE) for name in samples if name != SOURCE]
        pairs += [(FUSED, other) for other in (TORCH, OPENVINO) if other in samples and FUSED in samples]
        for subject, reference in pairs:
            comparison = Comparison.between(
                samples,
                subject,
                reference,
                topic=TOPIC,
                quantity=f"{case.shape}, {case.fill}",
                unit="ms",
                is_noise=subject == SOURCE_AGAIN,
                is_paired=True,
            )
            found.append(comparison)
    floors = {row.quantity: row.ratio for row in found if (row.subject, row.reference) == (MATMULS, SOURCE)}
    return [dataclasses.replace(row, floor=floors.get(row.quantity)) for row in found]


def compare_once(sides: Sequence[Side], values: Mapping[str, float], quantity: str, unit: str) -> list[Comparison]:
    """Compare a number that is taken once per process. Sides that share a process are not repeated."""
    own = {side.model: side.name for side in reversed(sides)}
    return [
        Comparison(
            topic=TOPIC,
            quantity=quantity,
            unit=unit,
            subject=own[model],
            subject_samples=[values[model]],
            reference=SOURCE,
            reference_samples=[values[SOURCE]],
            is_noise=own[model] == SOURCE_AGAIN,
        )
        for model in values
        if own[model] not in (SOURCE, MATMULS)
    ]
