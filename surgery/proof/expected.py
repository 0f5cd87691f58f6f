"""The outputs that an export must return, computed in numpy from a recording of the module."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from surgery.explanation.architecture import Inference
from surgery.module import DEFAULT_SIGNATURE
from surgery.planning.features import ResolvedFeature
from surgery.planning.outputs import ExportOutputs
from surgery.planning.padding import called_only, position_axes, zeroed
from surgery.proof.battery import Batch
from surgery.proof.comparison import Arrays, Outputs, Recording
from surgery.proof.constants import as_computed


def expected_outputs(
    inference: Inference, outputs: ExportOutputs, battery: Sequence[Batch], recorded: Recording
) -> Recording:
    """The outputs that every signature must return on a battery.

    Outputs of `serving_default` have plain names, those of other signatures names such as `taps.query_0`. An output
    that only the call returns is `__call__.NAME`. `recorded` holds the module's own outputs and inner tensors, those
    of sub-models and of its training trace included.
    """
    return [
        Outputs(
            float64=_expected(inference, outputs, batch, tensors.float64),
            float32={
                name: value.astype(np.float32, copy=False)
                for name, value in _expected(inference, outputs, batch, tensors.float32).items()
            },
        )
        for batch, tensors in zip(battery, recorded, strict=True)
    ]


def _expected(inference: Inference, outputs: ExportOutputs, batch: Batch, tensors: Arrays) -> dict[str, np.ndarray]:
    """The outputs that can be computed from these tensors, which may lack some, or be none at all."""
    block_output = inference.outputs.block_output
    wanted = {name: value for name, value in tensors.items() if name not in outputs.tap_names}
    for signature, made in outputs.extra.items():
        for output in made.outputs:
            feature = outputs.feature_of(output)
            last = None if made.depth is None else block_output(made.depth - 1)
            if feature is not None:
                if all(name in tensors for name in feature.states):
                    states = [tensors[name] for name in feature.states]
                    wanted[f"{signature}.{output}"] = compute(feature, states, batch.inputs["input_mask"])[output]
            elif output == "sequence_output" and last is not None:
                if last in tensors:
                    wanted[f"{signature}.{output}"] = tensors[last]
            elif output in tensors:
                wanted[f"{signature}.{output}"] = tensors[output]
    served = outputs.signatures[DEFAULT_SIGNATURE].outputs
    own = {name: value for name, value in tensors.items() if "." not in name}
    for name in called_only(inference, outputs):
        if name in own:
            wanted[f"__call__.{name}"] = own[name]
    for name in [name for name in own if name in wanted and name not in served]:
        del wanted[name]  # the call returns it, the signature does not
    mask = batch.inputs["input_mask"]
    for signature in outputs.signatures:
        for output in zeroed(inference, outputs, signature):
            name = output if signature == DEFAULT_SIGNATURE else f"{signature}.{output}"
            if name in wanted:
                wanted[name] = _without_padding(wanted[name], mask, position_axes(inference, outputs, output))
    return wanted


def _without_padding(x: np.ndarray, mask: np.ndarray, axes: Sequence[int]) -> np.ndarray:
    """An output whose rows of padding are zeros, in each of its axes that count positions.

    Position 0 always has a row, and so has all of a text that the mask does not show (see surgery.tf.token_rows).
    """
    kept = (mask != 0) | ~np.any(mask > 0, axis=1, keepdims=True)
    kept[:, 0] = True
    for axis in axes:
        x = np.where(np.expand_dims(kept, [n for n in range(1, x.ndim) if n != axis]), x, np.zeros_like(x))
    return x


def judged_names(inference: Inference, outputs: ExportOutputs) -> tuple[str, ...]:
    """The names that a comparison gives to the outputs of all signatures, and to those that only the call returns.

    Those of sub-models are not among them: `surgery.explanation.convention` refuses a module that lacks one.
    """
    served = outputs.signatures[DEFAULT_SIGNATURE].outputs
    extra = (f"{name}.{output}" for name, made in outputs.extra.items() for output in made.outputs)
    return (*served, *extra, *(f"__call__.{name}" for name in called_only(inference, outputs)))


def inner_outputs(inference: Inference, outputs: ExportOutputs) -> tuple[str, ...]:
    """Outputs of all signatures that the module's own call does not return.

    They are compared with tensors inside the module's graph.
    """
    block_outputs = inference.outputs.block_outputs
    returned = () if inference.convention.inner else inference.convention.outputs
    hidden = set(inference.outputs.paths) - set(returned)
    hidden |= outputs.tap_names
    if "sequence_output" in returned:
        hidden.discard(block_outputs[-1])  # the last block's output is `sequence_output`
    for feature in outputs.features.values():
        if hidden.intersection(feature.states):
            hidden.update(feature.outputs)
    hidden |= set() if outputs.head is None else set(outputs.head.inner)
    found = [name for name in outputs.signatures[DEFAULT_SIGNATURE].outputs if name in hidden]
    for name, made in outputs.extra.items():
        last = None if made.depth is None else block_outputs[made.depth - 1]
        found += [
            f"{name}.{output}"
            for output in made.outputs
            if output in hidden or (output == "sequence_output" and last in hidden)
        ]
    return tuple(found)


def compute(feature: ResolvedFeature, states: Sequence[np.ndarray], mask: np.ndarray) -> dict[str, np.ndarray]:
    """A feature's outputs by name, float64, from its layers' outputs [batch, seq, width] and `mask` [batch, seq].

    Its weights are those of an export's graph, which holds them in float32 (see surgery.proof.constants).
    """
    layers = [np.asarray(x, np.float64) for x in states]
    if feature.mix == "none":
        mixed = layers
    elif feature.mix == "concat":
        mixed = [np.concatenate(layers, axis=-1)]
    else:
        scale = 1 / len(layers) if feature.mix == "mean" else 1.0
        weights = [as_computed(weight) for weight in feature.weights] or [scale] * len(layers)
        mixed = [np.einsum("l,lbsw->bsw", np.asarray(weights, np.float64), np.stack(layers))]
    return {name: _pool(feature.pooling, x, mask) for name, x in zip(feature.outputs, mixed, strict=True)}


def _pool(pooling: str, x: np.ndarray, mask: np.ndarray) -> np.ndarray:
    if pooling == "none":
        return x
    if pooling == "cls":
        return x[:, 0]
    rows = [row[row_mask != 0] for row, row_mask in zip(x, mask, strict=True)]
    width = x.shape[-1]
    mean, largest, root = (np.zeros((len(rows), width)) for _ in range(3))
    for number, tokens in enumerate(rows):
        if len(tokens):
            mean[number], largest[number] = tokens.mean(0), tokens.max(0)
            root[number] = tokens.sum(0) / np.sqrt(len(tokens))
    pooled = {"mean": mean, "max": largest, "mean_sqrt_len": root, "mean_max": np.concatenate([mean, largest], -1)}
    return pooled[pooling]
