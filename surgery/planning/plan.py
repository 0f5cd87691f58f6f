"""Plans a conversion without TensorFlow: from a module and a request to the way of every weight and every output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from surgery.errors import ModuleError
from surgery.explanation.architecture import Architecture, Inference
from surgery.explanation.assignment import AssignmentMap, map_weights
from surgery.explanation.embedded import locate_encoder
from surgery.explanation.heads import Head
from surgery.explanation.inferring import infer_architecture
from surgery.module import InspectedModule
from surgery.planning.outputs import ExportOutputs
from surgery.planning.padding import zeroed
from surgery.planning.requests import Request
from surgery.planning.signatures import resolve, signature_outputs
from surgery.results import Result
from surgery.sources import well_formed
from surgery.sources.opening import closed


@dataclass(frozen=True, kw_only=True, repr=False)
class Plan(Result, report="plan"):
    """The plan that `surgery plan` shows and `surgery convert` carries out.

    Attributes:
        module: The inspected module. Where the encoder lies in a larger graph, the trace of it is the call.
        inference: Its family and architecture, with the evidence.
        weights: Where every variable goes, or why it is dropped.
        outputs: The outputs that the caller wants.
        signatures: The outputs of every signature of the export, by signature.
        destination: The folder of the export.
    """

    module: InspectedModule
    inference: Inference
    weights: AssignmentMap
    outputs: ExportOutputs
    signatures: Mapping[str, tuple[str, ...]]
    destination: Path

    @property
    def architecture(self) -> Architecture:
        """The hyperparameters by field."""
        return self.inference.architecture

    @property
    def head(self) -> Head | None:
        """The head of the model around the encoder, kept or not; None for a module that is an encoder alone."""
        return self.inference.head

    @property
    def packed(self) -> dict[str, tuple[str, ...]]:
        """The signatures that leave padding out, each with its outputs whose rows of padding are zeros."""
        found = self.outputs.signatures
        return {name: zeroed(self.inference, self.outputs, name) for name in found if found[name].packed}


def make_plan(
    module: InspectedModule,
    destination: Path,
    assume: Mapping[str, Any] | None = None,
    request: Request | None = None,
) -> Plan:
    """Infers the architecture, maps every weight, and resolves the outputs that the caller wants.

    Raises ModuleError if files of the module are missing, UnexplainedError if the weight tables leave a variable or a
    hyperparameter unexplained, and UsageError for outputs that the encoder cannot have.
    """
    if module.problems:
        raise ModuleError(
            f"opening {module.name}: " + "; ".join(module.problems), hint="the module is incomplete: fetch it again"
        )
    with well_formed(module.name):
        module = locate_encoder(module)
        inference = infer_architecture(module, assume)
    return _planned(module, inference, destination, request or Request())


def keep_head(plan: Plan) -> Plan:
    """The same plan with the head of the model kept. Raises UsageError if it cannot be kept."""
    return _planned(plan.module, plan.inference, plan.destination, replace(plan.outputs.request, keep_head=True))


def _planned(module: InspectedModule, inference: Inference, destination: Path, request: Request) -> Plan:
    outputs = resolve(inference, request)
    with well_formed(module.name):
        weights = map_weights(module, inference, outputs.head)
    return Plan(
        module=module,
        inference=inference,
        weights=weights,
        outputs=outputs,
        signatures=signature_outputs(inference, outputs),
        destination=destination,
    )


def closed_plan(plan: Plan, module: str) -> Plan:
    """A plan as a result keeps it once the module's files are closed, see `closed`."""
    return replace(plan, module=closed(plan.module, module))
