"""A checkpoint's encoder in numpy. Its outputs are the expected ones, because a checkpoint has no graph to run.

It shares nothing with the rebuilt encoder. Weights are read under the publisher's own names (`publisher.Names`), not
through the weight rows. The arithmetic is written out from the papers, in `surgery.proof.bert_formulas` and
`surgery.proof.mobilebert_formulas`. All batches go through one block before the next block's weights are read, so that
memory holds one block.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

from surgery.explanation.architecture import Inference
from surgery.explanation.heads import DenseHead
from surgery.explanation.outputs import BLOCKS, EMBEDDING, entry_name
from surgery.module import InspectedModule, Tensors
from surgery.planning.taps import TapAtBlock
from surgery.proof import bert_formulas, mobilebert_formulas
from surgery.proof.battery import Batch
from surgery.proof.comparison import Outputs, Recording
from surgery.proof.layers import Array, activation
from surgery.proof.named_weights import NamedWeights, Precision, Run, in_both
from surgery.tables.family import POOLED, POOLED_L2_NORM_EPS, POOLER
from surgery.tables.head import HEAD
from surgery.tables.publisher import MobileBertNames, Names

FORMULAS: Mapping[type, ModuleType] = {Names: bert_formulas, MobileBertNames: mobilebert_formulas}
"""The formulas of an encoder by the kind of its names. Each module has `embed`, `read_block` and `pool`."""
SCORES = "attention_scores"
"""MobileBERT's list of attention probabilities, which other encoders do not return."""


def description(module: InspectedModule) -> str:
    """The origin of the expected outputs, as a phrase for the parity report."""
    file = module.config.file if module.config is not None else "the config"
    return f"the function that {file} describes, computed in float64 numpy (a checkpoint has no graph)"


def record_float64(
    module: InspectedModule,
    inference: Inference,
    tensors: Tensors,
    battery: Sequence[Batch],
    taps: Sequence[TapAtBlock] = (),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Recording:
    """The outputs of the checkpoint's encoder on a battery, and those of its heads.

    They are `mlm.mlm_logits` of a masked-LM head, and `classifier.logits` of a classification head.

    Batches that are run in float32, too, are computed in both precisions: the same formulas in float32 show how exact
    an export can be expected to be. Taps are recorded on the batches that have them.
    `progress` is called with the number of blocks that are done and the number of all blocks. Raises UnexplainedError
    when the checkpoint has no weight of the publisher's name, or the activation is unknown.
    """
    runs: list[tuple[int, Precision]] = [(number, np.float64) for number, batch in enumerate(battery) if batch.double]
    runs += [(number, np.float32) for number, batch in enumerate(battery) if batch.float32]
    with np.errstate(all="ignore"):  # `surgery.export.weights` names the weights that are NaN or infinite
        computed = _record(module, inference, tensors, [(battery[n], dtype) for n, dtype in runs], taps, progress)
    found = {(number, dtype): outputs for (number, dtype), outputs in zip(runs, computed, strict=True)}
    return [
        Outputs(float64=found.get((number, np.float64), {}), float32=found.get((number, np.float32), {}))
        for number in range(len(battery))
    ]


def _record(
    module: InspectedModule,
    inference: Inference,
    tensors: Tensors,
    runs: Sequence[Run],
    taps: Sequence[TapAtBlock],
    progress: Callable[[int, int], None],
) -> list[dict[str, Array]]:
    assert inference.publisher is not None, "a checkpoint is explained by the dialect of a publisher"
    names, values = inference.publisher.names, inference.architecture.values
    formulas, outputs = FORMULAS[type(names)], inference.outputs
    weights = NamedWeights(module, names.spelling, tensors)
    states = formulas.embed(weights, names, values, runs)
    recording: list[dict[str, Array]] = [{EMBEDDING: x} for x in states]
    for entry in range(outputs.lists[BLOCKS]):
        for found, x in zip(recording, states, strict=True):
            found[entry_name(BLOCKS, entry)] = x
    for number, block_output in enumerate(outputs.block_outputs):
        progress(number, outputs.blocks)
        wanted = [tap for tap in taps if tap.block == number]
        for dtype in dict.fromkeys(dtype for _, dtype in runs):
            block = formulas.read_block(weights, names, number, values, dtype)
            own = [index for index, (_, precision) in enumerate(runs) if precision is dtype]
            masks = [runs[index][0].inputs["input_mask"].astype(dtype) for index in own]
            for index, inner in zip(own, block.run([states[index] for index in own], masks), strict=True):
                recording[index][block_output] = states[index] = inner["block_output"]
                if SCORES in outputs.lists:
                    recording[index][entry_name(SCORES, number)] = inner["attention_probs"]
                for tap in wanted if runs[index][0].taps else ():
                    recording[index][tap.output] = inner[tap.name]
    progress(outputs.blocks, outputs.blocks)
    for found, x in zip(recording, states, strict=True):
        found["sequence_output"] = x
    if POOLED in outputs.names:
        for found, pooled in zip(recording, formulas.pool(weights, names, values, states, runs), strict=True):
            found |= _pooled(pooled, values)
    if isinstance(inference.head, DenseHead):
        taken = _head_inputs(inference.head, weights, names, recording, runs)
        classifiers = in_both(runs, partial(weights.dense, names.classifier))
        for found, x, (_, dtype) in zip(recording, taken, runs, strict=True):
            found[f"{HEAD}.{inference.head.logits}"] = classifiers[dtype](x)
    if "mlm" in inference.submodels:
        for index, logits in formulas.masked_lm(weights, names, values, states, runs).items():
            recording[index]["mlm.mlm_logits"] = logits
    return recording


def _head_inputs(
    head: DenseHead,
    weights: NamedWeights,
    names: Names | MobileBertNames,
    recording: Sequence[Mapping[str, Array]],
    runs: Sequence[Run],
) -> list[Array]:
    """What the layer of labels takes in each run, [batch, size]: the pooler's output, or that of a hidden layer."""
    if head.hidden is None:
        return [found.get(POOLER, found[POOLED]) for found in recording]
    assert isinstance(names, Names), "a MobileBERT's head reads the pooled output"
    layers, act = in_both(runs, partial(weights.dense, names.classifier_hidden)), activation(names.classifier_act)
    return [
        act(layers[dtype](found["sequence_output"][:, 0])) for found, (_, dtype) in zip(recording, runs, strict=True)
    ]


def _pooled(pooler_output: Array, values: Mapping[str, Any]) -> dict[str, Array]:
    """The pooled output made of the pooler's [batch, hidden], and that one, too, where it is another one."""
    if POOLED_L2_NORM_EPS not in values:
        return {POOLED: pooler_output}
    squares = np.sum(pooler_output**2, axis=-1, keepdims=True)
    return {POOLER: pooler_output, POOLED: pooler_output / np.sqrt(np.maximum(squares, values[POOLED_L2_NORM_EPS]))}
