"""A tap, a feature or a depth that is not what its name says is caught under that name, and under no other."""

from __future__ import annotations

from dataclasses import replace

import pytest
import tensorflow as tf

import surgery
from surgery.jobs import convert as conversion
from surgery.planning import plan as planning
from surgery.planning.requests import Request
from surgery.proof.battery import make_battery
from surgery.tf import export, features
from surgery.tf.encoder import Encoder


@pytest.fixture
def failed(source, tmp_path, monkeypatch):
    """`failed("hf_bert", taps=["query"])` converts, expects a ParityError, and returns the names of what differs.

    They stand beside what the report says of outputs without a counterpart. Outputs of training traces are among them
    with `training` only: those traces are other graphs, in which a wrong tap is wrong once more.
    """

    def run(name: str, *, training: bool = False, **request) -> tuple[set[str], tuple[str, ...]]:
        reports, judge = [], conversion.judge

        def judged(*args, **kwargs):
            reports.append(judge(*args, **kwargs))
            return reports[-1]

        monkeypatch.setattr(conversion, "judge", judged)
        with pytest.raises(surgery.ParityError, match="nothing was published") as caught:
            conversion.convert_module(
                str(source(name)),
                tmp_path / "out" / "1",
                request=Request(**request),
                battery=lambda architecture: make_battery(architecture)[3:8],  # the others prove no more here
            )
        assert not (tmp_path / "out").exists()
        (report,) = reports
        names = {diff.name for diff in report.outputs if not diff.passed}
        found = {name for name in names if training or "training=True" not in name}
        assert f"the first to diverge is {report.first_divergence.name}" in caught.value.message
        assert report.weights.passed
        return found, report.unmatched

    return run


@pytest.fixture
def misplaced(monkeypatch):
    """Changes rows of the table of taps, by name."""

    def install(**changes):
        original = planning.infer_architecture

        def infer(*args, **kwargs):
            found = original(*args, **kwargs)
            assert changes.keys() <= {row.name for row in found.family.taps}
            rows = tuple(replace(row, **changes.get(row.name, {})) for row in found.family.taps)
            return replace(found, family=replace(found.family, taps=rows))

        monkeypatch.setattr(planning, "infer_architecture", infer)

    return install


def every_block(*taps: str) -> set[str]:
    return {f"taps.{tap}_{block}" for tap in taps for block in range(3)}


def test_a_tensor_that_is_taken_at_another_place_of_its_block_is_caught_under_its_name(misplaced, failed):
    misplaced(
        query={"layer": "_attention_layer._key_dense"},
        key={"layer": "_attention_layer._query_dense"},
        attention_logits={"side": "output"},  # after mask and softmax
        attention_output={"layer": "_attention_layer_norm"},  # after residual and norm
        attention_norm={"layer": "_output_layer_norm"},
        intermediate={"layer": "_intermediate_dense"},  # before the activation
        ffn_output={"layer": "_output_layer_norm", "side": "input"},  # after the residual
    )
    wrong = ["query", "key", "attention_logits", "attention_output", "attention_norm", "intermediate", "ffn_output"]
    right = ["value", "attention_probs", "attention_context", "intermediate_preactivation"]
    assert failed("hf_bert", taps=[*wrong, *right]) == (every_block(*wrong), ())


def test_probabilities_that_the_heads_have_not_mixed_yet_are_not_those_that_weigh_the_values(misplaced, failed):
    misplaced(attention_probs_mixed={"layer": "_attention_layer._softmax", "side": "output"})
    wrong, _ = failed("g4_talkheads", taps=["attention_probs", "attention_probs_mixed"])
    assert wrong == every_block("attention_probs_mixed")


def test_another_place_in_the_module_s_graph_is_caught_too_and_one_that_is_not_found_is_told(misplaced, failed):
    def masked(graph, bias):
        softmax, _ = graph.softmax_after(bias)
        return softmax.inputs[0]

    misplaced(attention_logits={"finder": masked}, key={"finder": lambda graph, bias: None})
    found = failed("g4_electra", taps=["attention_logits", "query", "key@-1"])
    assert found == (every_block("attention_logits"), ("taps.key_2",))


def test_a_tap_of_the_next_block_is_caught_also_where_blocks_share_their_layers(failed, monkeypatch):
    original = Encoder.encode

    def encode(self, inputs, *, taps=(), **form):
        shifted = [replace(tap, block=(tap.block + 1) % 3) for tap in taps]
        return original(self, inputs, taps=shifted, **form)

    monkeypatch.setattr(Encoder, "encode", encode)
    assert failed("hf_albert", taps=["value", "ffn_output"]) == (every_block("value", "ffn_output"), ())


def test_padding_that_counts_layers_in_another_order_and_a_depth_off_by_one_are_caught(failed, monkeypatch):
    mix, pool, encode = features._mix, features._pool, Encoder.encode

    def shallower(self, inputs, *, depth=None, **form):
        return encode(self, inputs, depth=None if depth is None else depth - 1, **form)

    monkeypatch.setattr(features, "_mix", lambda feature, states: mix(feature, states[::-1]))
    monkeypatch.setattr(features, "_pool", lambda pooling, x, mask: pool(pooling, x, tf.ones_like(mask)))
    monkeypatch.setattr(Encoder, "encode", shallower)
    right = {"summed": "sum@0,2/cls"}
    reordered = {"concat": "concat@0,2/cls", "weighed": "0.2,0.8@0,2"}
    padded = {"mean": "sum@-1/mean", "max": "sum@-1/max"}
    spelled = [f"{name}={feature}" for name, feature in (right | reordered | padded).items()]
    wrong, _ = failed("hf_bert", features=spelled, depths=[2])
    shallow = {"depth_2.encoder_outputs_1", "depth_2.sequence_output"}
    assert wrong == {f"{name}.{name}" for name in reordered | padded} | shallow


@pytest.mark.parametrize("name", ["hf_bert", "g4_bert_dropouts"])  # without a training trace, and with one
def test_a_call_whose_lists_are_in_another_order_than_the_signature_s_names_is_caught(name, failed, monkeypatch):
    original = export._make_callable

    def reversed_keys(function):
        def run(*inputs):
            found = function(*inputs)
            return {**found, "key": found["key"][::-1]}

        return run

    def make_callable(owner, convention, specs, functions):
        original(owner, convention, specs, {training: reversed_keys(f) for training, f in functions.items()})

    monkeypatch.setattr(export, "_make_callable", make_callable)
    wrong, _ = failed(name, training=True, taps=["query", "key"])
    # In training and in inference; the block in the middle stays where it is.
    calls = ("__call__(dict)", "__call__(dict, training=True)")
    assert wrong == {f"{call}.key[{block}]" for call in calls for block in (0, 2)}
