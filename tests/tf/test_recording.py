"""What is recorded: flat tokens token by token, at every length; a graph that does not fit together is refused."""

from __future__ import annotations

import numpy as np
import pytest

import surgery
from surgery.proof.battery import Batch
from surgery.tf import recording as comparison
from tests.support.editing import edited


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


def test_an_output_that_an_operation_does_not_have_is_damage_and_no_defect(modules, tmp_path):
    def edit(saved_model):
        library = saved_model.meta_graphs[0].graph_def.library
        (training,) = (f for f in library.function if f.signature.name.endswith("_conditional_losses_4871"))
        (node,) = (
            n for n in training.node_def if n.name.endswith("layer_0/output_layer_norm/batchnorm/ReadVariableOp")
        )
        node.op = "Placeholder"

    module = edited(modules("g4_bert_mlm"), tmp_path / "module", edit)
    with pytest.raises(surgery.ModuleError, match=r"the output value of .*, which Placeholder does not have"):
        surgery.convert(module, tmp_path / "export")
