"""The TensorFlow-free half of the line: from what a person types to a plan of every weight."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from surgery.errors import ModuleError, UnexplainedError
from surgery.explanation.architecture import Inference, infer_architecture
from surgery.explanation.assignment import AssignmentMap, map_weights
from surgery.module import InspectedModule
from surgery.planning.outputs import Outputs, Request, resolve
from surgery.proof.contract import signature_outputs
from surgery.sources import inspect_folder, well_formed
from surgery.sources.location import locate
from surgery.sources.output_names import name_outputs


@dataclass(frozen=True)
class Inspection:
    """What `inspect` shows: the module, and its inference or why no table explains it."""

    module: InspectedModule
    inference: Inference | None
    unexplained: str | None
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What `plan` shows and `convert` carries out. `signatures` are the outputs to be written, by signature."""

    module: InspectedModule
    inference: Inference
    weights: AssignmentMap
    outputs: Outputs
    signatures: Mapping[str, tuple[str, ...]]
    destination: Path


@contextmanager
def open_module(module: str, *, with_weights: bool) -> Iterator[InspectedModule]:
    """The inspected module behind a folder, archive or handle; its files are there until the block ends."""
    with locate(module, with_weights=with_weights) as files:
        with well_formed(files.name):
            found = name_outputs(inspect_folder(files))
        yield found


def explain_module(module: InspectedModule, assume: Mapping[str, Any] | None = None) -> Inspection:
    """The module with its inference where a table explains it, else with the reason why none does."""
    try:
        with well_formed(module.name):
            return Inspection(module, infer_architecture(module, assume), None)
    except UnexplainedError as error:
        return Inspection(module, None, error.message, error.details)


def make_plan(
    module: InspectedModule,
    destination: Path,
    assume: Mapping[str, Any] | None = None,
    request: Request | None = None,
) -> Plan:
    """Infers the architecture, maps every weight, and reads what outputs are asked for.

    Raises ModuleError when files of the module are missing, UnexplainedError when the tables leave anything open,
    UsageError for outputs that there cannot be.
    """
    if module.problems:
        raise ModuleError(
            f"opening {module.name}: " + "; ".join(module.problems), hint="the module is incomplete: fetch it again"
        )
    with well_formed(module.name):
        inference = infer_architecture(module, assume)
        weights = map_weights(module, inference)
    outputs = resolve(inference, request or Request())
    return Plan(module, inference, weights, outputs, signature_outputs(inference, outputs), destination)
