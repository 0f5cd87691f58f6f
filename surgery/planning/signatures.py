"""Which signatures an export will have, with their inputs and outputs."""

from __future__ import annotations

from surgery.explanation.architecture import Inference
from surgery.planning.outputs import SERVING, ExportOutputs


def signature_inputs(inference: Inference, outputs: ExportOutputs) -> dict[str, set[str]]:
    """The inputs of each signature that an export of this encoder has, by signature."""
    tokens = {anchor.name for anchor in inference.family.inputs}
    submodels = {name: tokens | {inference.family.encoder.submodels[name].positions} for name in inference.submodels}
    return {**dict.fromkeys(outputs.signatures, tokens), **submodels}


def signature_outputs(inference: Inference, outputs: ExportOutputs) -> dict[str, tuple[str, ...]]:
    """The outputs of each signature that an export of this encoder has, by signature."""
    names = inference.outputs.paths
    signatures = {name: signature.outputs for name, signature in outputs.signatures.items()}
    for submodel, convention in inference.submodels.items():
        logits = inference.family.encoder.submodels[submodel].logits
        signatures[submodel] = tuple(name for name in (*names, logits) if name in convention.outputs)
    return signatures


def called_only(inference: Inference, outputs: ExportOutputs) -> dict[str, str]:
    """The outputs that the call returns and `serving_default` does not: paths by export name."""
    return {
        name: path for name, path in inference.outputs.paths.items() if name not in outputs.signatures[SERVING].outputs
    }
