"""The outputs of a call as those of a signature, which knows no lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from surgery.explanation.outputs import entry_name


def flat_outputs(outputs: Mapping[str, Any], blocks: Mapping[str, Sequence[int]] | None = None) -> dict[str, tf.Tensor]:
    """Outputs in which every list of tensors is replaced by one output per entry, such as `encoder_outputs_3`.

    Signatures have no lists. `blocks` holds the numbers of a list's entries by name, if they are not 0, 1, 2 and so on.
    """
    flat: dict[str, tf.Tensor] = {}
    for name, value in outputs.items():
        if isinstance(value, list | tuple):
            numbers = (blocks or {}).get(name, range(len(value)))
            flat.update({entry_name(name, number): tensor for number, tensor in zip(numbers, value, strict=False)})
        else:
            flat[name] = value
    return flat
