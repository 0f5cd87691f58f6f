"""Edits of a filled encoder: heads cut out of its weights, layers inserted after its blocks or put in their place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import tensorflow as tf

from surgery.planning.edits import EditedBlock
from surgery.tf.layers import called_instead, layers_at

DENSE = {"query": 1, "key": 1, "value": 1, "attention_output": 0}
"""The dense layers of an attention, with the axis of their kernels that counts heads."""


def prune_heads(
    network: Any, variables: dict[str, tf.Variable], edited: Sequence[EditedBlock], blocks: str, attention: str
) -> None:
    """Gives the attention of each block the weights of the heads that stay, as new variables of the same names.

    `blocks` is the path from the network to the blocks, `attention` the path from a block to its attention (see
    recipe.Setting). `variables` holds the weights by target, and is changed.
    """
    by_id = {id(variable): target for target, variable in variables.items()}
    layers = layers_at(network, blocks)
    for number, block in enumerate(edited[: len(layers)]):
        if not block.pruned:
            continue
        (owner,) = layers_at(layers[number], attention)
        for name, axis in DENSE.items():
            dense = owner._output_dense if name == "attention_output" else getattr(owner, f"_{name}_dense")
            leaves = {"kernel": axis} if name == "attention_output" else {"kernel": axis, "bias": 0}
            for leaf, heads in leaves.items():
                whole = getattr(dense, leaf)
                kept = sliced(whole.numpy(), block.pruned, heads)
                parent, _, last = by_id[id(whole)].rpartition("/")
                with tf.name_scope(parent + "/"):
                    fewer = tf.Variable(kept, trainable=whole.trainable, name=last)
                variables[by_id[id(whole)]] = fewer
                setattr(dense, leaf, fewer)


def sliced(weight: np.ndarray, pruned: Sequence[int], axis: int) -> np.ndarray:
    """A weight without the `pruned` heads along the axis that counts heads."""
    return np.delete(weight, list(pruned), axis=axis)


@contextmanager
def edited_blocks(
    layers: Sequence[Any], edited: Sequence[EditedBlock], *, shared: bool, returns: int
) -> Iterator[list[Any]]:
    """Runs inserted and replacing layers while the network is called.

    Yields a list that fills with the outputs of the blocks, in order, each [batch, seq, hidden] before the layers that
    are inserted after the block. `layers` are the blocks, or with `shared` the one layer that is called for each block.
    A block's call returns `returns` values.
    """
    seen: list[Any] = []

    def instead(call: Any, first: int) -> Any:
        def run(inputs: Any, *args: Any, **kwargs: Any) -> Any:
            block = edited[len(seen) if shared else first]
            if block.replaced is not None:
                states = inputs[0] if isinstance(inputs, list | tuple) else inputs
                output = block.replaced(states)
                result = output if returns == 1 else (output, *[None] * (returns - 1))
            else:
                result = call(inputs, *args, **kwargs)
            output = result[0] if returns > 1 else result
            seen.append(output)
            for layer in block.inserted:
                output = layer(output)
            return (output, *result[1:]) if returns > 1 else output

        return run

    with ExitStack() as stack:
        for number, layer in enumerate(layers):
            stack.enter_context(called_instead(layer, instead(layer.call, number)))
        yield seen
