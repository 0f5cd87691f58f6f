"""Which sublayers an encoder offers, and how a person chooses among them: no TensorFlow, nothing slow."""

from __future__ import annotations

from functools import cache

import pytest

import surgery
from surgery.errors import UsageError
from surgery.planning.taps import offered, resolve_taps, select_layers
from tests.support.sample_names import BERT_MODULES, TAPPED_CHECKPOINTS, TF1_SAMPLES

ATTENTION = (
    "query",
    "key",
    "value",
    "attention_logits",
    "attention_probs",
    "attention_context",
    "attention_output",
)
BERT = (*ATTENTION, "attention_norm", "intermediate_preactivation", "intermediate", "ffn_output")
TALKING_HEADS = (
    *ATTENTION[:5],
    "attention_probs_mixed",
    *ATTENTION[5:],
    "attention_norm",
    "intermediate_preactivation",
    "intermediate",
    "gate",
    "intermediate_gated",
    "ffn_output",
)


def mobilebert(feed_forwards: int, *, shared: bool) -> tuple[str, ...]:
    stacked = (f"ffn_{number}_{what}" for what in ("intermediate", "output", "norm") for number in range(feed_forwards))
    return (
        "bottleneck_input",
        *(("kq_shared_bottleneck",) if shared else ()),
        *ATTENTION,
        "attention_norm",
        *stacked,
        "intermediate",
        "ffn_output",
        "bottleneck_output",
    )


OFFERED = {
    **dict.fromkeys(("g1_built", *BERT_MODULES, "g4_albert", *TF1_SAMPLES, *TAPPED_CHECKPOINTS), BERT),
    "tf1_bert_checkpoint": BERT,
    "g4_mobilebert": mobilebert(4, shared=True),
    "g4_mobilebert_layer_norm": mobilebert(2, shared=False),
    "g4_talkheads": TALKING_HEADS,
}


@pytest.fixture(scope="module")
def inference(modules):
    """`inference("hf_bert")` is what a module's files say about its encoder."""
    return cache(lambda name: surgery.plan(modules(name)).inference)


@pytest.mark.parametrize(
    ("text", "blocks", "chosen"),
    [
        ("0", 12, (0,)),
        ("-1", 12, (11,)),
        ("11", 12, (11,)),
        ("-12", 12, (0,)),
        ("0,3,-1", 12, (0, 3, 11)),
        ("3,0", 12, (0, 3)),
        ("1,1,-11", 12, (1,)),
        (" 2 , 4 ", 12, (2, 4)),
        ("-4:", 12, (8, 9, 10, 11)),
        (":4", 12, (0, 1, 2, 3)),
        (":", 3, (0, 1, 2)),
        ("::2", 5, (0, 2, 4)),
        ("::-1", 3, (0, 1, 2)),
        ("10:2:-3", 12, (4, 7, 10)),
        ("1:100", 3, (1, 2)),
        ("-100:1", 3, (0,)),
        ("0,-2:", 12, (0, 10, 11)),
        (":2,1:4", 12, (0, 1, 2, 3)),
    ],
)
def test_blocks_are_chosen_as_python_reads_lists_and_slices(text: str, blocks: int, chosen):
    assert select_layers(text, blocks, "--layers") == chosen


@pytest.mark.parametrize(
    "text", ["", " ", ",", "0,", ",0", "x", "1.0", "+1", "--1", "0 1", "1-3", "1:2:3:4", "0;1", "²"]
)
def test_what_is_no_list_of_blocks_is_refused_with_an_example(text: str):
    with pytest.raises(UsageError, match=r"^--tap query@.*: cannot read '.*' as blocks") as caught:
        select_layers(text, 12, f"--tap query@{text}")
    assert "-4:" in caught.value.hint


@pytest.mark.parametrize("text", ["12", "-13", "0,12", ":,99"])
def test_a_block_that_there_is_not_is_refused_with_those_that_there_are(text: str):
    with pytest.raises(UsageError, match=r"there is no block -?\d+, there are 12: 0 to 11"):
        select_layers(text, 12, "--layers")


@pytest.mark.parametrize("text", ["5:2", "12:", ":-12", "3:3"])
def test_a_slice_of_nothing_is_refused(text: str):
    with pytest.raises(UsageError, match=r"selects none of the 12 blocks"):
        select_layers(text, 12, "--layers")


def test_a_slice_without_a_step_is_refused():
    with pytest.raises(UsageError, match="step cannot be 0"):
        select_layers("::0", 12, "--layers")


@pytest.mark.parametrize("name", OFFERED)
def test_every_family_and_source_offers_its_sublayers_by_name(name: str, inference):
    assert sorted(offered(inference(name))) == sorted(OFFERED[name])


@pytest.mark.parametrize("name", ["g4_prenorm", "g4_mobilebert", "g4_talkheads"])
def test_taps_come_in_the_order_of_computation(name: str, inference):
    names = list(offered(inference(name)))
    order = [*ATTENTION, "attention_norm", "intermediate", "ffn_output"]
    assert sorted(order, key=names.index) == order
    assert names.index("bottleneck_input" if "bottleneck_input" in names else "query") == 0
    extras = {"attention_probs_mixed": "attention_context", "gate": "intermediate_gated", "ffn_0_norm": "intermediate"}
    assert all(names.index(one) < names.index(next_one) for one, next_one in extras.items() if one in names)


SHAPES = {
    "query": (None, None, 4, 16),
    "value": (None, None, 4, 16),
    "attention_logits": (None, 4, None, None),
    "attention_probs": (None, 4, None, None),
    "attention_context": (None, None, 4, 16),
    "attention_output": (None, None, 64),
    "attention_norm": (None, None, 64),
    "intermediate": (None, None, 160),
    "ffn_output": (None, None, 64),
}
NARROW = {"query": (None, None, 4, 8), "attention_output": (None, None, 32), "ffn_output": (None, None, 32)}


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("g4_bert_mlm", SHAPES),
        ("g4_electra", SHAPES),
        ("g4_talkheads", {**SHAPES, "gate": (None, None, 160), "attention_probs_mixed": (None, 4, None, None)}),
        ("g4_mobilebert", {**NARROW, "bottleneck_output": (None, None, 64), "ffn_2_intermediate": (None, None, 160)}),
        ("g3_small", {"query": (None, None, 6, 8), "attention_probs": (None, 6, None, None)}),
    ],
)
def test_a_tap_says_the_shape_of_its_tensors(name: str, shapes, inference):
    found = inference(name)
    assert {tap: offered(found)[tap].shape(found) for tap in shapes} == shapes


def test_a_tap_says_the_bytes_of_a_block_in_a_reply(inference):
    found = inference("g4_bert_mlm")
    offers = offered(found)
    assert offers["query"].shape(found, batch=2, length=10) == (2, 10, 4, 16)
    assert offers["query"].nbytes(found, batch=2, length=10) == 2 * 10 * 4 * 16 * 4
    assert offers["attention_probs"].nbytes(found, batch=1, length=128) == 4 * 128 * 128 * 4
    assert offers["intermediate"].nbytes(found, batch=8, length=1) == 8 * 160 * 4


def test_a_tap_alone_is_all_blocks_and_with_layers_those(inference):
    found = inference("g3_small")
    assert [tap.output for tap in resolve_taps(found, ["query"])] == [f"query_{block}" for block in range(4)]
    assert [tap.output for tap in resolve_taps(found, ["query@-1"])] == ["query_3"]
    assert [tap.output for tap in resolve_taps(found, ["query@::2"])] == ["query_0", "query_2"]
    assert resolve_taps(found, []) == ()


def test_taps_are_in_the_order_of_computation_each_once_however_they_are_asked_for(inference):
    chosen = resolve_taps(inference("g3_small"), ["ffn_output@0", "key@-1", "key@3,1", "query@0", "query@-4"])
    assert [tap.output for tap in chosen] == ["query_0", "key_1", "key_3", "ffn_output_0"]
    assert [(tap.name, tap.layer) for tap in chosen][:2] == [("query", 0), ("key", 1)]


def test_a_tap_of_a_block_names_its_own_weights(inference):
    anchors = {tap.output: tap.anchors for tap in resolve_taps(inference("g4_bert_mlm"), ["query", "ffn_output@2"])}
    assert anchors["query_1"] == ("transformer/layer_1/self_attention/query/bias",)
    assert anchors["ffn_output_2"] == ("transformer/layer_2/output/bias",)


def test_stacked_feed_forwards_are_counted_and_the_common_names_mean_the_last(inference):
    for name, last in (("g4_mobilebert", 3), ("g4_mobilebert_layer_norm", 1)):
        wanted = [f"ffn_{last}_output@1", "ffn_output@1", "ffn_0_norm@1"]
        taps = {tap.output: tap for tap in resolve_taps(inference(name), wanted)}
        bias = f"transformer_layer_1/ffn_layer_{last}/output_dense/bias"
        assert taps[f"ffn_{last}_output_1"].anchors == taps["ffn_output_1"].anchors == (bias,)
        assert taps["ffn_0_norm_1"].anchors == ("transformer_layer_1/ffn_layer_0/norm/beta",)
        assert taps["ffn_0_norm_1"].layer_path == "block_layers[ffn][0][2]"


@pytest.mark.parametrize(
    ("name", "tap", "nearest"),
    [
        ("g4_bert_mlm", "attention_prob", "attention_probs"),
        ("g4_bert_mlm", "qeury", "query"),
        ("g4_bert_mlm", "query_0", "query"),
        ("g4_bert_mlm", "attention_probs_mixed@-1", "attention_probs"),
        ("g4_mobilebert", "ffn_4_output", "ffn_3_output"),
        ("g4_talkheads", "intermediate_gate@0", "intermediate_gated"),
    ],
)
def test_an_unknown_tap_is_refused_with_the_nearest_names(name: str, tap: str, nearest: str, inference):
    with pytest.raises(UsageError) as caught:
        resolve_taps(inference(name), [tap])
    family = inference(name).family.name
    assert caught.value.message == f"--tap {tap}: {family} has no tap {tap.partition('@')[0]}"
    assert "did you mean" in caught.value.hint
    assert nearest in caught.value.hint.removesuffix("?").split()


@pytest.mark.parametrize("tap", ["zzz", "", "@-1"])
def test_a_name_that_is_near_to_none_is_refused_with_all_of_them(tap: str, inference):
    with pytest.raises(UsageError, match="has no tap") as caught:
        resolve_taps(inference("hf_bert"), [tap])
    assert caught.value.hint == "it has " + ", ".join(BERT)


@pytest.mark.parametrize("tap", ["query@", "query@x", "query@0@1"])
def test_a_tap_whose_blocks_cannot_be_read_is_refused(tap: str, inference):
    with pytest.raises(UsageError, match=rf"--tap {tap}: cannot read"):
        resolve_taps(inference("hf_bert"), [tap])


def test_a_tap_at_a_block_that_there_is_not_is_refused(inference):
    with pytest.raises(UsageError, match=r"--tap key@3: there is no block 3, there are 3"):
        resolve_taps(inference("hf_bert"), ["query@2", "key@3"])


@pytest.mark.parametrize("name", ["g4_mobilebert", "g4_mobilebert_layer_norm"])
def test_what_is_no_layer_boundary_in_a_family_is_refused_with_the_reason(name: str, inference):
    with pytest.raises(UsageError, match=r"no tap intermediate_preactivation: .*activation themselves") as caught:
        resolve_taps(inference(name), ["intermediate_preactivation@-1"])
    assert "intermediate" in caught.value.hint
