"""A checkpoint's encoder in numpy. Its outputs are the expected ones, because a checkpoint has no graph to run.

It shares nothing with the rebuilt encoder. Weights are read under the publisher's own names (`publisher.Names`), not
through the weight rows. The arithmetic is written out from the papers: the blocks in `surgery.proof.layers`, and here
BERT's embeddings, pooler and masked-LM head from Devlin et al. (arXiv:1810.04805), the factorised embedding and shared
block from Lan et al. (arXiv:1909.11942). All batches go through one block before the next block's weights are read, so
that memory holds one block.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np

from surgery.errors import UnexplainedError
from surgery.explanation.architecture import Inference
from surgery.explanation.outputs import EMBEDDING
from surgery.module import InspectedModule, Tensors, VariableInfo
from surgery.planning.taps import TapAtBlock
from surgery.proof.battery import Batch
from surgery.proof.comparison import Outputs, Recording
from surgery.proof.constants import as_computed
from surgery.proof.layers import Array, Block, Dense, Norm, activation
from surgery.tables.publisher import Names

Precision = type[np.float64] | type[np.float32]
Run = tuple[Batch, Precision]
"""A batch, and the precision in which it is computed."""
Made = TypeVar("Made")


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
    """The outputs of the checkpoint's encoder on a battery, and those of its masked-LM head, `mlm.mlm_logits`.

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
    weights = _Weights(module, names, tensors)
    block_outputs = inference.outputs.block_outputs
    states = _embed(weights, names, values, runs)
    recording: list[dict[str, Array]] = [{EMBEDDING: x} for x in states]
    for number, block_output in enumerate(block_outputs):
        progress(number, len(block_outputs))
        wanted = [tap for tap in taps if tap.block == number]
        for dtype in dict.fromkeys(dtype for _, dtype in runs):
            block = _read_block(weights, names, number, values, dtype)
            own = [index for index, (_, precision) in enumerate(runs) if precision is dtype]
            masks = [runs[index][0].inputs["input_mask"].astype(dtype) for index in own]
            for index, inner in zip(own, block.run([states[index] for index in own], masks), strict=True):
                recording[index][block_output] = states[index] = inner["block_output"]
                for tap in wanted if runs[index][0].taps else ():
                    recording[index][tap.output] = inner[tap.name]
    progress(len(block_outputs), len(block_outputs))
    for outputs in recording:
        outputs["sequence_output"] = outputs[block_outputs[-1]]
    if "pooled_output" in inference.outputs.names:
        poolers = _in_both(runs, partial(weights.dense, names.pooler))
        for outputs, x, (_, dtype) in zip(recording, states, runs, strict=True):
            outputs["pooled_output"] = np.tanh(poolers[dtype](x[:, 0]))
    if "mlm" in inference.submodels:
        for index, logits in _masked_lm(weights, names, values, states, runs).items():
            recording[index]["mlm.mlm_logits"] = logits
    return recording


def _in_both(runs: Sequence[Run], read: Callable[[Precision], Made]) -> dict[Precision, Made]:
    """A layer in every precision that a run has."""
    return {dtype: read(dtype) for dtype in dict.fromkeys(dtype for _, dtype in runs)}


class _Weights:
    """A checkpoint's weights by the publisher's names."""

    def __init__(self, module: InspectedModule, names: Names, tensors: Tensors) -> None:
        self._names, self._tensors, self._module = names, tensors, module
        self._variables: dict[str, VariableInfo] = {v.name: v for v in module.variables}

    def read(self, *candidates: str) -> np.ndarray:
        """The weight of the first of these names that the checkpoint has, as stored.

        A name may stand below any of the publisher's scopes. Raises UnexplainedError when there is no such weight.
        """
        for name in candidates:
            for scope in self._names.scopes:
                if scope + name in self._variables:
                    return self._tensors.read(self._variables[scope + name])
        raise UnexplainedError(
            f"computing the reference of {self._module.name}: expected a weight {' or '.join(candidates)}, found none"
        )

    def has_dense(self, name: str) -> bool:
        """Whether the checkpoint has a dense layer of this name."""
        kernel = name + self._names.separator + self._names.kernel
        return any(scope + kernel in self._variables for scope in self._names.scopes)

    def dense(self, name: str, dtype: Precision) -> Dense:
        """The dense layer of this name."""
        stem = name + self._names.separator
        kernel = self.read(stem + self._names.kernel).astype(dtype)
        bias = self.read(f"{stem}bias").astype(dtype)
        return Dense(kernel=kernel.T if self._names.transposed else kernel, bias=bias)

    def norm(self, epsilon: float, *names: str, dtype: Precision) -> Norm:
        """The layer normalisation of the first of these names that the checkpoint has.

        Graphs hold the epsilon in float32. Where a variance is small, its rounding shows in float64.
        """

        def leaf(leaves: Sequence[str]) -> Array:
            weight = self.read(*(f"{name}{self._names.separator}{leaf}" for name in names for leaf in leaves))
            return weight.astype(dtype)

        return Norm(gamma=leaf(self._names.gamma), beta=leaf(self._names.beta), epsilon=as_computed(epsilon))


def _embed(weights: _Weights, names: Names, values: Mapping[str, Any], runs: Sequence[Run]) -> list[Array]:
    """The input of block 0 for each run, [batch, seq, hidden]: the normalised sum of three lookups.

    A factorised embedding is projected to the hidden size.
    """
    words, positions, types = (weights.read(name) for name in (names.words, names.positions, names.types))
    norms = _in_both(runs, lambda dtype: weights.norm(values["layer_norm_eps"], names.embedding_norm, dtype=dtype))
    projected = weights.has_dense(names.projection)
    projections = _in_both(runs, partial(weights.dense, names.projection)) if projected else {}
    found = []
    for batch, dtype in runs:
        ids, kinds = batch.inputs["input_word_ids"], batch.inputs["input_type_ids"]
        summed = words[ids].astype(dtype) + positions[: ids.shape[1]].astype(dtype) + types[kinds]
        normed = norms[dtype](summed)
        found.append(projections[dtype](normed) if projected else normed)
    return found


def _read_block(weights: _Weights, names: Names, number: int, values: Mapping[str, Any], dtype: Precision) -> Block:
    """The block of this number."""
    scope, epsilon = names.block.format(number), values["layer_norm_eps"]
    dense = ("query", "key", "value", "attention_output", "intermediate", "output")
    return Block(
        heads=values["num_attention_heads"],
        mask_adder=values["attention_mask_adder"],
        activation=activation(values["hidden_act"]),
        attention_norm=weights.norm(epsilon, scope + names.attention_norm, dtype=dtype),
        output_norm=weights.norm(epsilon, *(scope + name for name in names.output_norm), dtype=dtype),
        **{name: weights.dense(scope + getattr(names, name), dtype) for name in dense},
    )


def _masked_lm(
    weights: _Weights, names: Names, values: Mapping[str, Any], states: Sequence[Array], runs: Sequence[Run]
) -> dict[int, Array]:
    """Logits, [batch, positions, vocab], by the run's number."""
    act, epsilon = activation(values["mlm_act"]), values["mlm_layer_norm_eps"]
    denses = _in_both(runs, partial(weights.dense, names.mlm_dense))
    norms = _in_both(runs, lambda dtype: weights.norm(epsilon, names.mlm_norm, dtype=dtype))
    tables = _in_both(runs, weights.read(names.words).astype)
    biases = _in_both(runs, weights.read(names.mlm_bias).astype)
    found = {}
    for index, (x, (batch, dtype)) in enumerate(zip(states, runs, strict=True)):
        picked = np.take_along_axis(x, batch.inputs["masked_lm_positions"][:, :, None], axis=1)
        found[index] = norms[dtype](act(denses[dtype](picked))) @ tables[dtype].T + biases[dtype]
    return found
