"""The TensorFlow-free half of the line: from what a person types to a plan of every weight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from surgery.errors import ModuleError
from surgery.explanation.architecture import Architecture, Inference, infer_architecture
from surgery.explanation.assignment import AssignmentMap, map_weights
from surgery.module import InspectedModule
from surgery.planning.outputs import Outputs, Request, resolve
from surgery.planning.signatures import signature_outputs
from surgery.sources import well_formed


@dataclass(frozen=True)
class Plan:
    """What `plan` shows and `convert` carries out. `signatures` are the outputs to be written, by signature."""

    module: InspectedModule
    inference: Inference
    weights: AssignmentMap
    outputs: Outputs
    signatures: Mapping[str, tuple[str, ...]]
    destination: Path

    @property
    def architecture(self) -> Architecture:
        """The hyperparameters by field."""
        return self.inference.architecture


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
