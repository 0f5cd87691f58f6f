"""A checkpoint's encoder in float64 numpy. Its outputs are the expected ones, because a checkpoint has no graph to run.

It shares nothing with the rebuilt encoder. Weights are read under the publisher's own names (`publisher.Names`), not
through the weight rows. The arithmetic is written out from the papers: the blocks in `surgery.proof.layers`, and here
BERT's embeddings, pooler and masked-LM head from Devlin et al. (arXiv:1810.04805), the factorised embedding and shared
block from Lan et al. (arXiv:1909.11942). All batches go through one block before the next block's weights are read, so
that memory holds one block in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from surgery.errors import UnexplainedError
from surgery.explanation.architecture import Inference
from surgery.explanation.outputs import EMBEDDING
from surgery.module import InspectedModule, Tensors, VariableInfo
from surgery.planning.taps import TapAtBlock
from surgery.proof.battery import Batch
from surgery.proof.comparison import Recording
from surgery.proof.layers import Array, Block, Dense, Norm, activation
from surgery.tables.publisher import Names


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
    """The outputs of the checkpoint's encoder on a battery, float32, and those of its masked-LM head, `mlm.mlm_logits`.

    Taps and the masked-LM head are recorded on the batches on which sub-models are run. `progress` is called with the
    number of blocks that are done and the number of all blocks. Raises UnexplainedError when the checkpoint has no
    weight of the publisher's name, or the activation is unknown.
    """
    with np.errstate(all="ignore"):  # `surgery.export.weights` names the weights that are NaN or infinite
        return _record(module, inference, tensors, battery, taps, progress)


def _record(
    module: InspectedModule,
    inference: Inference,
    tensors: Tensors,
    battery: Sequence[Batch],
    taps: Sequence[TapAtBlock],
    progress: Callable[[int, int], None],
) -> Recording:
    assert inference.publisher is not None, "a checkpoint is explained by the dialect of a publisher"
    names, values = inference.publisher.names, inference.architecture.values
    weights = _Weights(module, names, tensors)
    block_outputs = inference.outputs.block_outputs
    states = _embed(weights, names, values, battery)
    recording: list[dict[str, npt.NDArray[np.float32]]] = [{EMBEDDING: x.astype(np.float32)} for x in states]
    for number, block_output in enumerate(block_outputs):
        progress(number, len(block_outputs))
        block = _read_block(weights, names, number, values)
        wanted = [tap for tap in taps if tap.block == number]
        for index, batch in enumerate(battery):
            inner = block.run(states[index], batch.inputs["input_mask"].astype(np.float64))
            states[index] = inner["block_output"]
            recording[index][block_output] = states[index].astype(np.float32)
            for tap in wanted if batch.submodels else ():
                recording[index][tap.output] = inner[tap.name].astype(np.float32)
    progress(len(block_outputs), len(block_outputs))
    for outputs in recording:
        outputs["sequence_output"] = outputs[block_outputs[-1]]
    if "pooled_output" in inference.outputs.names:
        pooler = weights.dense(names.pooler)
        for outputs, x in zip(recording, states, strict=True):
            outputs["pooled_output"] = np.tanh(pooler(x[:, 0])).astype(np.float32)
    if "mlm" in inference.submodels:
        for index, logits in _masked_lm(weights, names, values, states, battery).items():
            recording[index]["mlm.mlm_logits"] = logits.astype(np.float32)
    return recording


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

    def dense(self, name: str) -> Dense:
        """The dense layer of this name, in float64."""
        stem = name + self._names.separator
        kernel = self.read(stem + self._names.kernel).astype(np.float64)
        bias = self.read(f"{stem}bias").astype(np.float64)
        return Dense(kernel=kernel.T if self._names.transposed else kernel, bias=bias)

    def norm(self, epsilon: float, *names: str) -> Norm:
        """The layer normalisation of the first of these names that the checkpoint has, in float64."""

        def leaf(leaves: Sequence[str]) -> Array:
            weight = self.read(*(f"{name}{self._names.separator}{leaf}" for name in names for leaf in leaves))
            return weight.astype(np.float64)

        return Norm(gamma=leaf(self._names.gamma), beta=leaf(self._names.beta), epsilon=epsilon)


def _embed(weights: _Weights, names: Names, values: Mapping[str, Any], battery: Sequence[Batch]) -> list[Array]:
    """The input of block 0 for each batch, float64 [batch, seq, hidden]: the normalised sum of three lookups.

    A factorised embedding is projected to the hidden size.
    """
    words, positions, types = (weights.read(name) for name in (names.words, names.positions, names.types))
    norm = weights.norm(values["layer_norm_eps"], names.embedding_norm)
    projection = weights.dense(names.projection) if weights.has_dense(names.projection) else None
    found = []
    for batch in battery:
        ids, kinds = batch.inputs["input_word_ids"], batch.inputs["input_type_ids"]
        summed = words[ids].astype(np.float64) + positions[: ids.shape[1]].astype(np.float64) + types[kinds]
        normed = norm(summed)
        found.append(projection(normed) if projection is not None else normed)
    return found


def _read_block(weights: _Weights, names: Names, number: int, values: Mapping[str, Any]) -> Block:
    """The block of this number, its weights in float64."""
    scope, epsilon = names.block.format(number), values["layer_norm_eps"]
    dense = ("query", "key", "value", "attention_output", "intermediate", "output")
    return Block(
        heads=values["num_attention_heads"],
        mask_adder=values["attention_mask_adder"],
        activation=activation(values["hidden_act"]),
        attention_norm=weights.norm(epsilon, scope + names.attention_norm),
        output_norm=weights.norm(epsilon, *(scope + name for name in names.output_norm)),
        **{name: weights.dense(scope + getattr(names, name)) for name in dense},
    )


def _masked_lm(
    weights: _Weights,
    names: Names,
    values: Mapping[str, Any],
    states: Sequence[Array],
    battery: Sequence[Batch],
) -> dict[int, Array]:
    """Logits, float64 [batch, positions, vocab], by the batch's number, for batches on which sub-models are run."""
    act = activation(values["mlm_act"])
    dense = weights.dense(f"{names.masked_lm}/transform/dense")
    norm = weights.norm(values["mlm_layer_norm_eps"], f"{names.masked_lm}/transform/LayerNorm")
    table = weights.read(names.words).astype(np.float64)
    bias = weights.read(f"{names.masked_lm}/output_bias").astype(np.float64)
    found = {}
    for index, (x, batch) in enumerate(zip(states, battery, strict=True)):
        if batch.submodels:
            picked = np.take_along_axis(x, batch.inputs["masked_lm_positions"][:, :, None], axis=1)
            found[index] = norm(act(dense(picked))) @ table.T + bias
    return found
