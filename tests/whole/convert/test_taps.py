"""Every tap of every family and source: what it is compared with, where an export has it, and what it leaves alone."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import surgery
from surgery.planning.taps import offered
from tests.support.sample_names import COMPOSED, TAPPED, TAPPED_CHECKPOINTS, TAPPED_MODULES, TERMS
from tests.support.tapping import run_signatures


def tapped_outputs(done) -> list[str]:
    names = offered(done.conversion.plan.inference)
    return [f"{name}_{block}" for name in names for block in range(done.blocks)]


@pytest.mark.parametrize("name", TAPPED)
def test_every_tap_of_every_block_is_compared_and_passes(name, tapped):
    done = tapped(name)
    report = done.conversion.report
    assert report.passed
    assert report.unmatched == ()
    diffs = {diff.name: diff for diff in report.outputs}
    compared = [diffs[f"taps.{output}"] for output in tapped_outputs(done)]
    assert all(diff.batches >= 5 for diff in compared)
    assert sorted(done.outputs["taps"]) == sorted(tapped_outputs(done))


@pytest.mark.parametrize("name", TAPPED_MODULES)
def test_the_report_says_that_taps_were_compared_with_the_module_s_own_tensors(name, tapped):
    done = tapped(name)
    inner = done.conversion.report.inner
    assert {f"taps.{output}" for output in tapped_outputs(done)} <= set(inner)
    # The call returns its ends; the last generation's returns what lies between its blocks as well.
    assert "embedding_output" in inner
    assert not {"pooled_output", "sequence_output", f"encoder_outputs_{done.blocks - 1}"} & set(inner)
    hides_blocks = name.startswith(("g1", "g2", "g3", "tf1"))
    between = {f"encoder_outputs_{block}" for block in range(done.blocks - 1)}
    assert between & set(inner) == (between if hides_blocks else set())


@pytest.mark.parametrize("name", TAPPED_CHECKPOINTS)
def test_a_checkpoint_has_no_graph_to_compare_with(name, tapped):
    report = tapped(name).conversion.report
    assert report.inner == ()
    assert "float64 numpy" in report.reference


@pytest.mark.parametrize("name", TAPPED)
def test_attention_is_shared_out_among_the_tokens_that_are_there(name, tapped):
    done = tapped(name)
    padding = done.inputs["input_mask"] == 0
    assert padding.any()
    for block in range(done.blocks):
        probs = done.taps(block)["attention_probs"]
        assert probs.min() >= 0
        assert np.abs(probs.sum(-1) - 1).max() < 1e-5
        assert np.where(padding[:, None, None, :], probs, 0).max() < 1e-9


@pytest.mark.parametrize("name", TAPPED_CHECKPOINTS)
def test_attention_maps_are_those_of_transformers(name, tapped):
    done = tapped(name)
    expected = np.load(done.source / "expected.npz")
    for block in range(done.blocks):
        assert np.abs(done.taps(block)["attention_probs"] - expected[f"attentions_{block}"]).max() <= 1e-5


@pytest.mark.parametrize("name", COMPOSED)
def test_the_default_signature_is_the_same_to_the_bit_with_taps_and_without(name, tapped, converted):
    done = tapped(name)
    plain = run_signatures(converted(name).export, done.inputs)["serving_default"]
    assert bits(done.outputs["serving_default"]) == bits(plain)


def bits(outputs) -> dict[str, bytes]:
    return {name: value.tobytes() for name, value in outputs.items()}


@pytest.mark.parametrize("name", COMPOSED)
def test_taps_beside_other_outputs_move_those_in_their_last_bits_at_most(name, tapped):
    outputs = tapped(name).outputs  # what is an output is not fused with what follows it
    assert len(outputs["calm"]) > len(outputs["serving_default"])
    for output, value in outputs["serving_default"].items():
        assert np.abs(outputs["calm"][output] - value).max() <= 2e-5


@pytest.mark.parametrize("name", TERMS)
def test_terms_of_a_residual_sum_move_the_other_outputs_in_their_last_bits_at_most(name, tapped):
    outputs = tapped(name).outputs
    assert "attention_output_0" in outputs["terms"]
    assert "ffn_output_0" in outputs["terms"]
    for output, value in outputs["serving_default"].items():
        assert np.abs(outputs["terms"][output] - value).max() <= 2e-5


@pytest.mark.parametrize("name", ["g4_mobilebert", "tf1_albert_small"])
def test_the_call_gives_each_tap_as_a_list_by_block(name, tapped):
    done = tapped(name)
    loaded = tf.saved_model.load(str(done.export))
    called = loaded({key: tf.constant(value) for key, value in done.inputs.items()}, training=False)
    for tap in offered(done.conversion.plan.inference):
        assert len(called[tap]) == done.blocks
        for block, value in enumerate(called[tap]):
            assert np.abs(value - done.outputs["taps"][f"{tap}_{block}"]).max() < 1e-5
    assert len(called["encoder_outputs"]) >= done.blocks


@pytest.mark.parametrize("name", ["hf_albert"])
def test_chosen_blocks_have_their_own_numbers_in_a_signature_and_their_order_in_the_call(
    name, source, tapped, tmp_path
):
    whole = tapped(name)
    taps = ["key@-1", "query@0,-1", "attention_probs@1:"]
    done = surgery.convert(source(name), tmp_path / "export", taps=taps, layers="-2:")
    assert done.report.passed
    found = run_signatures(tmp_path / "export", whole.inputs)
    chosen = {"query_0", "query_2", "key_2", "attention_probs_1", "attention_probs_2"}
    assert set(found["taps"]) == chosen
    for output, value in found["taps"].items():
        assert np.abs(value - whole.outputs["taps"][output]).max() < 1e-6
    served = {name for name in found["serving_default"] if name.startswith("encoder_outputs")}
    assert served == {"encoder_outputs_1", "encoder_outputs_2"}
    called = tf.saved_model.load(str(tmp_path / "export"))(
        {key: tf.constant(value) for key, value in whole.inputs.items()}, training=False
    )
    # --layers restricts the signature; the call's list stays whole, so that its numbers are those of blocks.
    for block, value in enumerate(whole.states[1:]):
        assert np.abs(called["encoder_outputs"][block] - value).max() < 1e-5
    assert [len(called[tap]) for tap in ("query", "key", "attention_probs")] == [2, 1, 2]
    assert np.abs(called["query"][1] - whole.outputs["taps"]["query_2"]).max() < 1e-5


@pytest.mark.parametrize("name", ["g4_mobilebert", "g4_talkheads", "tf1_albert_small"])
def test_an_export_with_taps_is_a_module_again_and_gives_what_it_is_asked_for_now(name, tapped):
    done = tapped(name)
    again = surgery.plan(done.export, taps=["key@-1"])
    usual = {name: outputs for name, outputs in again.signatures.items() if name != "taps"}
    assert usual == surgery.plan(done.source).signatures
    assert again.signatures["taps"] == (f"key_{done.blocks - 1}",)
