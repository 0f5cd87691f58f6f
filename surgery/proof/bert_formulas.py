"""BERT and ALBERT in numpy, around the blocks of `surgery.proof.layers`.

The embeddings, the pooler and the masked-LM head are those of Devlin et al. (arXiv:1810.04805), the factorised
embedding and the shared block those of Lan et al. (arXiv:1909.11942).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from surgery.proof.layers import Array, Block, activation
from surgery.proof.named_weights import NamedWeights, Precision, Run, in_both
from surgery.tables.publisher import Names


def embed(weights: NamedWeights, names: Names, values: Mapping[str, Any], runs: Sequence[Run]) -> list[Array]:
    """The input of block 0 for each run, [batch, seq, hidden]: the normalised sum of the lookups.

    Token types are looked up where the model has them; without ids of them, all are 0. A factorised embedding is
    projected to the hidden size.
    """
    words, positions = weights.read(names.words), weights.read(names.positions)
    types = weights.read(names.types) if names.types else None
    norms = in_both(runs, lambda dtype: weights.norm(values["layer_norm_eps"], names.embedding_norm, dtype=dtype))
    projected = weights.has_dense(names.projection)
    projections = in_both(runs, partial(weights.dense, names.projection)) if projected else {}
    found = []
    for batch, dtype in runs:
        ids = batch.inputs["input_word_ids"]
        summed = words[ids].astype(dtype) + positions[position_ids(ids, values.get("pad_token_id"))].astype(dtype)
        if types is not None:
            summed = summed + types[batch.inputs.get("input_type_ids", np.zeros_like(ids))]
        normed = norms[dtype](summed)
        found.append(projections[dtype](normed) if projected else normed)
    return found


def position_ids(ids: Array, padding: int | None) -> Array:
    """The row of the position table for each token, [seq] or [batch, seq].

    BERT counts from 0. With an id of `padding`, tokens are counted from the next number on, as in fairseq's
    utils.make_positions: padding wherever it stands gets the row of its id and does not count.
    """
    if padding is None:
        return np.arange(ids.shape[1])
    found = np.full(ids.shape, padding)
    for row, tokens in zip(found, ids, strict=True):
        (places,) = np.nonzero(tokens != padding)
        row[places] = padding + 1 + np.arange(len(places))
    return found


def read_block(weights: NamedWeights, names: Names, number: int, values: Mapping[str, Any], dtype: Precision) -> Block:
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


def masked_lm(
    weights: NamedWeights, names: Names, values: Mapping[str, Any], states: Sequence[Array], runs: Sequence[Run]
) -> dict[int, Array]:
    """Logits, [batch, positions, vocab], by the run's number."""
    act, epsilon = activation(values["mlm_act"]), values["mlm_layer_norm_eps"]
    denses = in_both(runs, partial(weights.dense, names.mlm_dense))
    norms = in_both(runs, lambda dtype: weights.norm(epsilon, names.mlm_norm, dtype=dtype))
    tables = in_both(runs, weights.read(names.words).astype)
    biases = in_both(runs, weights.read(names.mlm_bias).astype)
    found = {}
    for index, (x, (batch, dtype)) in enumerate(zip(states, runs, strict=True)):
        picked = np.take_along_axis(x, batch.inputs["masked_lm_positions"][:, :, None], axis=1)
        found[index] = norms[dtype](act(denses[dtype](picked))) @ tables[dtype].T + biases[dtype]
    return found


def pool(
    weights: NamedWeights, names: Names, values: Mapping[str, Any], states: Sequence[Array], runs: Sequence[Run]
) -> list[Array]:
    """The pooled output of each run, [batch, hidden]: a dense layer with tanh on the first token."""
    poolers = in_both(runs, partial(weights.dense, names.pooler))
    return [np.tanh(poolers[dtype](x[:, 0])) for x, (_, dtype) in zip(states, runs, strict=True)]
