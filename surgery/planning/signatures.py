"""Inputs and outputs of every signature of an export, those of the module's sub-models such as `mlm` included."""

from __future__ import annotations

from surgery.explanation.architecture import Inference
from surgery.planning.outputs import SERVING, ExportOutputs


def signature_inputs(inference: Inference, outputs: ExportOutputs) -> dict[str, set[str]]:
    """The names of the inputs of each signature of the export, by signature."""
    tokens = {anchor.name for anchor in inference.family.inputs}
    submodels = {name: tokens | {inference.family.encoder.submodels[name].positions} for name in inference.submodels}
    return {**dict.fromkeys(outputs.signatures, tokens), **submodels}


def signature_outputs(inference: Inference, outputs: ExportOutputs) -> dict[str, tuple[str, ...]]:
    """The names of the outputs of each signature of the export, by signature."""
    names = inference.outputs.paths
    signatures = {name: signature.outputs for name, signature in outputs.signatures.items()}
    for submodel, convention in inference.submodels.items():
        logits = inference.family.encoder.submodels[submodel].logits
        signatures[submodel] = tuple(name for name in (*names, logits) if name in convention.outputs)
    return signatures


def called_only(inference: Inference, outputs: ExportOutputs) -> dict[str, str]:
    """The outputs that `__call__` returns and `serving_default` does not, as paths in the call by export name."""
    return {
        name: path for name, path in inference.outputs.paths.items() if name not in outputs.signatures[SERVING].outputs
    }
