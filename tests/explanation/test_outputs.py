"""Which block an output belongs to, by its name in a comparison."""

from __future__ import annotations

from surgery.explanation.outputs import EncoderOutputs

NAMES = {
    "encoder_outputs_0": 0,
    "depth_2.encoder_outputs_1": 1,
    "mlm(training=True).encoder_outputs_1": 1,
    "taps.query_1": 1,
    "__call__(dict, training=True).query[1]": 1,
    "embedding_output": None,
    "vector_1": None,  # a feature, named by the user
    "taps.key_1": None,
}


def test_the_block_of_an_output_is_that_of_its_list_or_tap():
    outputs = EncoderOutputs(names=("encoder_outputs",), lists={"encoder_outputs": 0}, blocks=2)
    expected = {name: block for name, block in NAMES.items() if block is not None}
    assert outputs.blocks_of(NAMES, {"query_1"}) == expected


def test_a_list_that_begins_with_the_embedding_counts_blocks_from_its_second_entry():
    lists = {"encoder_outputs": 1, "attention_scores": 0}
    outputs = EncoderOutputs(names=tuple(lists), lists=lists, blocks=2)
    names = ("encoder_outputs_0", "encoder_outputs_1", "encoder_outputs_2", "attention_scores_0")
    assert outputs.blocks_of(names, ()) == {"encoder_outputs_1": 0, "encoder_outputs_2": 1, "attention_scores_0": 0}
    assert outputs.blocks_of(map(outputs.block_output, range(2)), ()) == dict(zip(names[1:], range(2), strict=False))
