"""Graphs that keep tokens flat between blocks are compared token by token, at every length."""

from __future__ import annotations

import numpy as np
import pytest

from surgery.proof.battery import Batch
from surgery.tf import recording as comparison


@pytest.mark.parametrize("length", [1, 2, 17])
def test_flat_tokens_are_told_from_the_pooled_output_at_every_length(length):
    batch = Batch(label="#0", inputs={"input_mask": np.ones((3, length), np.int32)})
    flat = np.arange(3 * length * 4, dtype=np.float32).reshape(3 * length, 4)
    by_token = comparison._by_token("encoder_outputs_0", flat, batch)
    assert by_token.shape == (3, length, 4)
    assert by_token.tobytes() == flat.tobytes()
    pooled = np.ones((3, 4), np.float32)
    assert comparison._by_token("pooled_output", pooled, batch) is pooled
    assert comparison._by_token("sequence_output", by_token, batch) is by_token
