"""Which signatures an export will have, with their inputs and outputs."""

from __future__ import annotations

from surgery.explanation.architecture import Inference
from surgery.explanation.convention import output_paths
from surgery.planning.outputs import SERVING, Outputs


def signature_inputs(inference: Inference, outputs: Outputs) -> dict[str, set[str]]:
    """The signatures of an export and the inputs of each."""
    tokens = {anchor.name for anchor in inference.family.inputs}
    submodels = {name: tokens | {inference.family.encoder.submodels[name].positions} for name in inference.submodels}
    return {**dict.fromkeys(outputs.signatures, tokens), **submodels}


def signature_outputs(inference: Inference, outputs: Outputs) -> dict[str, tuple[str, ...]]:
    """Output names of each signature that an export of this encoder has."""
    names = output_paths(inference.family, inference.output_names, inference.architecture["num_hidden_layers"])
    signatures = {name: signature.outputs for name, signature in outputs.signatures.items()}
    for submodel, convention in inference.submodels.items():
        logits = inference.family.encoder.submodels[submodel].logits
        signatures[submodel] = tuple(name for name in (*names, logits) if name in convention.outputs)
    return signatures


def called_only(inference: Inference, outputs: Outputs) -> dict[str, str]:
    """What the call returns and `serving_default` does not: paths by export name."""
    names = output_paths(inference.family, inference.output_names, inference.architecture["num_hidden_layers"])
    return {name: path for name, path in names.items() if name not in outputs.signatures[SERVING].outputs}
