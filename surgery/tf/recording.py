"""Records the outputs of a module and of a reloaded export on a battery, in double precision and as they run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial

import numpy as np

from surgery.errors import ModuleError
from surgery.explanation.architecture import Inference
from surgery.export.weights import sha256
from surgery.graphs.inputs import fed_with
from surgery.graphs.merging import Input, Merged
from surgery.module import DEFAULT_SIGNATURE, SERVE, InspectedModule
from surgery.planning.outputs import ExportOutputs
from surgery.planning.signatures import signature_inputs
from surgery.planning.taps import Offer
from surgery.processes.background import background
from surgery.progress import Progress, counting, silent
from surgery.proof.battery import Batch
from surgery.proof.compared import Compared, of_export, of_module
from surgery.proof.comparison import Arrays, ModuleRecording, Outputs, Recording, names_of, without_double
from surgery.proof.joining import joinable, run_joined
from surgery.scanning.gate import cleared
from surgery.tables.family import POOLED, POOLER
from surgery.tables.head import HEAD
from surgery.tf.memory import trim
from surgery.tf.merged import new_merging
from surgery.tf.session import Imported, Runner, SavedModelSession

Tick = Callable[[], None]

REFERENCE = "the module's own graph in a v1 Session"
SMALL = 64 * 2**20
"""The largest model, in bytes of weights, for which memory does not count beside time."""


class LoadedModule:
    """A module's own graphs (see surgery.proof.compared), run in a v1 Session. Taps that are not found are left out.

    The session is opened when it is needed, and again after `close`. Use it in a `with` statement.
    """

    def __init__(self, module: InspectedModule, inference: Inference, outputs: ExportOutputs) -> None:
        self._module, self._inference = module, inference
        self._compared = of_module(module, inference, outputs)
        self._merged, problems = _merge(self._compared)
        for problem in problems.values():
            raise ModuleError(
                f"writing the graphs of {module.folder} as one: {problem}",
                hint="such a graph cannot be compared: please report it",
            )
        self._offers = {tap.output: tap.offer for tap in outputs.taps}
        self._session: SavedModelSession | None = None
        self._graphs: dict[bool, Imported] = {}

    def __enter__(self) -> LoadedModule:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Frees the module's variables."""
        self._graphs.clear()
        if self._session is not None:
            self._session.close()
            self._session = None

    def record(self, battery: Sequence[Batch], progress: Progress = silent) -> ModuleRecording:
        """The module's own outputs on a battery, by export name.

        Raises ModuleError when the module cannot be loaded or run.
        """
        tick = counting(progress, "run the module", len(battery))
        double = self._graph(double=True)
        recorded: list[dict[str, np.ndarray]] = [{} for _ in battery]
        with background("float32", at_once=self._module.weight_bytes <= SMALL) as thread:
            as_they_run = thread.start(lambda: self._in_float32(battery, thread.go_on))
            for numbers in joinable(battery):
                found = run_joined(battery, numbers, lambda batch: self._run(double, batch))
                for number, outputs in found.items():
                    recorded[number].update(outputs)
                    tick()
            for number, batch in enumerate(battery):
                if batch.training:
                    trained = double.run(batch.inputs, self._compared.training)
                    recorded[number].update(self._shaped(trained, batch))
            recording = [
                Outputs(float64=wide, float32=narrow)
                for wide, narrow in zip(recorded, as_they_run.result(), strict=True)
            ]
        return ModuleRecording(outputs=recording, formulas=double.formulas, lacking=double.lacking)

    def _in_float32(self, battery: Sequence[Batch], tick: Tick) -> list[dict[str, np.ndarray]]:
        """The outputs of each batch as the module runs; empty for a batch that is not run in float32."""
        recorded = []
        for batch in battery:
            recorded.append(self._run(self._graph(double=False), batch) if batch.float32 else {})
            tick()
        return recorded

    def _run(self, graph: Imported, batch: Batch) -> dict[str, np.ndarray]:
        return self._shaped(graph.run(batch.inputs, _wanted(self._merged, self._compared, batch)), batch)

    def _graph(self, *, double: bool) -> Imported:
        if self._session is None:
            tags = tuple(self._module.inference_graph.meta_info_def.tags)
            self._session = SavedModelSession(cleared(self._module), tags, only_variables=True, few_runs=True)
        if double not in self._graphs:
            self._graphs[double] = self._session.graph(self._merged, double=double)
        return self._graphs[double]

    def _shaped(self, outputs: Arrays, batch: Batch) -> dict[str, np.ndarray]:
        return {
            name: value.reshape(_sizes(self._offers[name], self._inference, batch))
            if name in self._offers
            else _by_token(name, value, batch)
            for name, value in outputs.items()
        }


def _merge(compared: Compared) -> tuple[Merged, Mapping[str, str]]:
    """The graphs of one side as one, and why those that cannot be written without their calls are not in it.

    The reasons are by the names of the graph's outputs.
    """
    merging, problems = new_merging(), {}
    for part in compared.parts:
        try:
            merging.add(part)
        except (ValueError, LookupError) as error:  # such as a function or an output that does not exist
            problems[", ".join(part.outputs)] = str(error)
    return merging.result(), problems


def _fed(merged: Merged, compared: Compared) -> Merged:
    """The graph in which the expected boundaries of the training traces are inputs of what follows them."""
    inferred = {tensor for name, tensor in merged.tensors.items() if name not in compared.training}
    tensors = {name: merged.tensors[name] for name in compared.fed if name in merged.tensors}
    boundaries = {t: Input(name=n, dtype="float64") for n, t in tensors.items() if t not in inferred}
    return fed_with(merged, boundaries)


def _wanted(merged: Merged, compared: Compared, batch: Batch) -> list[str]:
    """The outputs that are run on a batch, besides those of training traces."""
    return [
        name for name in merged.tensors if name not in compared.training and (batch.taps or name not in compared.taps)
    ]


def _sizes(offer: Offer, inference: Inference, batch: Batch) -> tuple[int, ...]:
    """The shape of a tap's tensor for a batch, with every axis known."""
    rows, length = batch.inputs["input_mask"].shape
    return tuple(size for size in offer.shape(inference, rows, length) if size is not None)


def _by_token(name: str, value: np.ndarray, batch: Batch) -> np.ndarray:
    """A tensor that a TF1 graph may keep flat, [batch * seq, hidden], as [batch, seq, hidden].

    The outputs that have one vector for a text are recognised by their names, because at length 1 their shapes
    [batch, hidden] and [batch, labels] are the same.
    """
    rows, length = batch.inputs["input_mask"].shape
    of_text = name.rpartition(".")[2] in (POOLED, POOLER) or name.startswith(f"{HEAD}.")
    return value.reshape(rows, length, -1) if value.ndim == 2 and not of_text else value


class LoadedExport:
    """An inspected export, reloaded from disk into a v1 Session as a server loads it. Raises ModuleError.

    Attributes:
        formulas: Names of the formulas whose exact values took the place of their float32 roundings.
        lacking: The types of operations without a kernel for double precision, by the output that lacks for them.
        same_as: Outputs that are computed in another way than the output that they must be, by name.
        problems: Graphs that cannot be compared, one line each: breaches of the contract.
    """

    def __init__(self, exported: InspectedModule) -> None:
        self._exported = exported
        self._session = SavedModelSession(cleared(exported), SERVE, few_runs=True)
        self.formulas: tuple[str, ...] = ()
        self.lacking: Mapping[str, tuple[str, ...]] = {}
        self.same_as: dict[str, str] = {}
        self.problems: tuple[str, ...] = ()

    def __enter__(self) -> LoadedExport:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def replay(
        self,
        inference: Inference,
        outputs: ExportOutputs,
        battery: Sequence[Batch],
        expected: Recording,
        tick: Tick = lambda: None,
    ) -> Iterator[Outputs]:
        """The outputs of the signatures and calls on each batch, by name (see surgery.proof.compared).

        In float32 the signatures are run as a server runs them; one whose outputs all are computed in the same way as
        outputs of others is not run again. `expected` is the module's side. `tick` is called after each batch. The
        attributes have their values when this returns, before the first batch is run.
        """
        compared = of_export(self._exported, inference, outputs, names_of(expected))
        merged, problems = _merge(compared)
        self.problems = tuple(f"{names}: the graph cannot be compared: {why}" for names, why in problems.items())
        self.same_as = {
            name: like
            for name, like in compared.same_as.items()
            if name in merged.tensors and merged.tensors[name] != merged.tensors.get(like, "")
        }
        kept = {n: t for n, t in merged.tensors.items() if n in self.same_as or n not in compared.same_as}
        merged = replace(merged, tensors=kept)
        double = self._session.graph(_fed(merged, compared), double=True)
        self.formulas, self.lacking = double.formulas, double.lacking
        signatures = self._distinct_signatures(merged, inference, outputs)
        narrow, unjudged = without_double(self.same_as, self.lacking, expected)
        self.problems += tuple(f"{n}: nothing compares it, double precision lacks {o}" for n, o in unjudged.items())
        single_names = [name for name in merged.tensors if name.startswith("__call__.") or name in narrow]
        called = replace(merged, tensors={name: merged.tensors[name] for name in single_names})
        single = self._session.graph(called)

        def in_double(batch: Batch) -> Arrays:
            return self._trimmed(double.run(batch.inputs, _wanted(merged, compared, batch)))

        def in_float32(batch: Batch) -> Arrays:
            as_it_runs = single.run(batch.inputs, called.tensors) if called.tensors else {}
            by_tensor = {merged.tensors[name]: value for name, value in as_it_runs.items()}
            for prefix, signature in signatures:
                answered = {prefix + key: value for key, value in signature(batch.inputs).items()}
                as_it_runs.update(answered)
                by_tensor.update({merged.tensors[n]: value for n, value in answered.items() if n in merged.tensors})
            for name, tensor in merged.tensors.items():
                if tensor in by_tensor:
                    as_it_runs.setdefault(name, by_tensor[tensor])
            return self._trimmed(as_it_runs)

        def in_training(batch: Batch, wanted: Outputs) -> Arrays:
            fed = {name: wanted.float64[name] for name in compared.fed}
            return self._trimmed(double.run({**batch.inputs, **fed}, compared.training))

        def run_batches() -> Iterator[Outputs]:
            with background("run", at_once=self._exported.weight_bytes <= SMALL) as thread:
                # One run after another: what each takes is given back before the next takes its own.
                wide: dict[int, Future[dict[int, Arrays]]] = {}
                trained: dict[int, Future[Arrays]] = {}
                narrow: dict[int, Future[Arrays]] = {}
                for numbers in joinable(battery):
                    wide |= dict.fromkeys(numbers, thread.start(partial(run_joined, battery, numbers, in_double)))
                    for number in numbers:
                        batch, wanted = battery[number], expected[number]
                        if batch.training and compared.training:
                            trained[number] = thread.start(partial(in_training, batch, wanted))
                        if batch.float32:
                            narrow[number] = thread.start(partial(in_float32, batch))
                for number in range(len(battery)):  # nothing keeps what has been handed out
                    run = wide.pop(number).result().pop(number)
                    if number in trained:
                        run = {**run, **trained.pop(number).result()}
                    yield Outputs(float64=run, float32=narrow.pop(number).result() if number in narrow else {})
                    tick()

        return run_batches()

    def _trimmed(self, outputs: Arrays) -> Arrays:
        """Outputs, after the memory that a large export took for them is given back: each thread keeps its own."""
        if self._exported.weight_bytes > SMALL:
            trim()
        return outputs

    def _distinct_signatures(
        self, merged: Merged, inference: Inference, outputs: ExportOutputs
    ) -> list[tuple[str, Runner]]:
        """The signatures that compute something that no larger one does, each with the prefix of its outputs' names."""
        tensors: dict[str, set[str]] = {}
        for name in signature_inputs(inference, outputs):
            prefix = "" if name == DEFAULT_SIGNATURE else f"{name}."
            keys = self._session.signatures[name].outputs if name in self._session.signatures else ()
            tensors[name] = {merged.tensors[prefix + key] for key in keys if prefix + key in merged.tensors}
        found: list[tuple[str, Runner]] = []
        computed: set[str] = set()
        for name in sorted(tensors, key=lambda name: -len(tensors[name])):
            if tensors[name] - computed:
                found.append(("" if name == DEFAULT_SIGNATURE else f"{name}.", self._session.signature(name)))
                computed |= tensors[name]
        return found

    def hashes(self, targets: Sequence[str]) -> dict[str, str]:
        """SHA-256 of the variables of these names, as the session has restored them. Missing ones are left out."""
        return {name: sha256(value) for name, value in self._session.variables(targets)}
