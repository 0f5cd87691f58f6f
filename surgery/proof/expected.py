"""What an export's further signatures must return, in numpy, from what was recorded of the module."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from surgery.explanation.architecture import Inference
from surgery.explanation.convention import output_paths
from surgery.planning.outputs import BLOCKS, SERVING, Feature, Outputs
from surgery.proof.battery import Batch
from surgery.proof.parity import Recording


def expected_outputs(
    inference: Inference, outputs: Outputs, battery: Sequence[Batch], recorded: Recording
) -> Recording:
    """What every signature must return on a battery: `serving_default` under plain names, others as `taps.query_0`.

    `recorded` holds the module's own outputs and tensors, sub-models included. Further signatures are run
    on the batches on which sub-models are run.
    """
    offset = inference.family.lists[BLOCKS]
    expected = []
    for batch, found in zip(battery, recorded, strict=True):
        wanted = {name: value for name, value in found.items() if name not in outputs.tap_names}
        for signature, made in outputs.extra.items() if batch.submodels else ():
            for output in made.outputs:
                feature = outputs.feature_of(output)
                if feature is not None:
                    states = [found[f"{BLOCKS}_{layer + offset}"] for layer in feature.layers]
                    value = compute(feature, states, batch.inputs["input_mask"])[output]
                    wanted[f"{signature}.{output}"] = value.astype(np.float32)
                elif output == "sequence_output" and made.depth is not None:
                    wanted[f"{signature}.{output}"] = found[f"{BLOCKS}_{made.depth - 1 + offset}"]
                elif output in found:
                    wanted[f"{signature}.{output}"] = found[output]
        served = outputs.signatures[SERVING].outputs
        hidden = [name for name in wanted if "." not in name and name not in served]
        for name in hidden:
            # Not in the signature, but in the call.
            wanted[f"__call__.{name}"] = wanted.pop(name)
        expected.append(wanted)
    return expected


def inner_outputs(inference: Inference, outputs: Outputs) -> tuple[str, ...]:
    """Outputs of every signature that a module's own call does not return: their numbers come from inside its graph."""
    blocks = inference.architecture["num_hidden_layers"]
    hidden = set(output_paths(inference.family, inference.output_names, blocks)) - set(inference.convention.outputs)
    hidden |= outputs.tap_names
    offset = inference.family.lists[BLOCKS]
    if "sequence_output" in inference.convention.outputs:
        hidden.discard(f"{BLOCKS}_{blocks - 1 + offset}")  # which is the same tensor
    for feature in outputs.features.values():
        if any(f"{BLOCKS}_{layer + offset}" in hidden for layer in feature.layers):
            hidden.update(feature.outputs)
    found = [name for name in outputs.signatures[SERVING].outputs if name in hidden]
    for name, made in outputs.extra.items():
        last = None if made.depth is None else f"{BLOCKS}_{made.depth - 1 + offset}"
        found += [
            f"{name}.{output}"
            for output in made.outputs
            if output in hidden or (output == "sequence_output" and last in hidden)
        ]
    return tuple(found)


def compute(feature: Feature, states: Sequence[np.ndarray], mask: np.ndarray) -> dict[str, np.ndarray]:
    """A feature's outputs by name, float64, from its layers' outputs [batch, seq, width] and `mask` [batch, seq]."""
    layers = [np.asarray(x, np.float64) for x in states]
    if feature.mix == "none":
        mixed = layers
    elif feature.mix == "concat":
        mixed = [np.concatenate(layers, axis=-1)]
    else:
        scale = 1 / len(layers) if feature.mix == "mean" else 1.0
        weights = feature.weights or [scale] * len(layers)
        mixed = [np.einsum("l,lbsw->bsw", np.asarray(weights, np.float64), np.stack(layers))]
    return {name: _pool(feature.pooling, x, mask) for name, x in zip(feature.outputs, mixed, strict=True)}


def _pool(pooling: str, x: np.ndarray, mask: np.ndarray) -> np.ndarray:
    if pooling == "none":
        return x
    if pooling == "cls":
        return x[:, 0]
    rows = [row[kept != 0] for row, kept in zip(x, mask, strict=True)]
    width = x.shape[-1]
    mean, largest, root = (np.zeros((len(rows), width)) for _ in range(3))
    for number, tokens in enumerate(rows):
        if len(tokens):
            mean[number], largest[number] = tokens.mean(0), tokens.max(0)
            root[number] = tokens.sum(0) / np.sqrt(len(tokens))
    pooled = {"mean": mean, "max": largest, "mean_sqrt_len": root, "mean_max": np.concatenate([mean, largest], -1)}
    return pooled[pooling]
