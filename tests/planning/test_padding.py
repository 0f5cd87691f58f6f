"""Which signatures leave padding out, and which of their outputs would have shown it."""

from __future__ import annotations

from functools import cache

import pytest
from click.testing import CliRunner

import surgery
from surgery.cli.main import main
from surgery.errors import UsageError
from surgery.planning.padding import called_only, position_axes, zeroed
from surgery.planning.requests import Request
from surgery.planning.signatures import resolve
from tests.support.running import on_the_command_line

BERT, MOBILEBERT = "g4_bert_mlm", "g4_mobilebert"
HIDDEN = {
    "features": ["text=mean@-2:/mean", "first=none@0/cls"],
    "signatures": ["cls=pooled_output", "pair=pooled_output,text"],
}
"""Signatures whose outputs have one vector per text."""
SHOWN = {
    "taps": ["attention_probs@0"],
    "features": ["words=sum"],
    "depths": [1],
    "signatures": ["mixed=pooled_output,sequence_output", "map=attention_probs_0"],
}
"""Signatures of which an output at least has something for every token."""
BOTH = {name: [*HIDDEN.get(name, ()), *SHOWN.get(name, ())] for name in (*HIDDEN, *SHOWN)}
SHOWING = ("serving_default", "taps", "words", "depth_1", "mixed", "map")


@pytest.fixture(scope="module")
def inference(modules):
    return cache(lambda name=BERT: surgery.plan(modules(name)).inference)


@pytest.fixture(scope="module")
def outputs(inference):
    """`outputs(taps=["query"])` is what that request becomes."""

    def make(name: str = BERT, **request):
        return resolve(inference(name), Request.of(**request))

    return make


def test_signatures_whose_outputs_hide_padding_leave_it_out(outputs):
    found = outputs(**BOTH).signatures
    assert {name for name, made in found.items() if made.packed} == {"text", "first", "cls", "pair"}
    assert set(found) == {"text", "first", "cls", "pair", *SHOWING}


def test_all_leave_it_out_when_asked_to_and_none_in_model_gardens_form(outputs):
    assert all(made.packed for made in outputs(**BOTH, packed=True).signatures.values())
    assert not any(made.packed for made in outputs(**BOTH, graph="model_garden").signatures.values())


def test_what_hides_padding_has_no_rows_that_could_be_zeros(inference, outputs):
    for packed in (False, True):
        found = outputs(**BOTH, packed=packed)
        assert not any(zeroed(inference(), found, name) for name in ("text", "first", "cls", "pair"))
    shown = {name: zeroed(inference(), outputs(**BOTH), name) for name in SHOWING}
    assert shown == dict.fromkeys(SHOWING, ())


def test_rows_of_padding_are_zeros_in_all_but_pooled_outputs_when_asked_for(inference, outputs):
    found = outputs(**BOTH, packed=True)
    served = found.signatures["serving_default"].outputs
    assert set(zeroed(inference(), found, "serving_default")) == set(served) - {"pooled_output"}
    assert zeroed(inference(), found, "mixed") == ("sequence_output",)
    assert zeroed(inference(), found, "map") == zeroed(inference(), found, "taps") == ("attention_probs_0",)
    assert zeroed(inference(), found, "words") == ("words",)
    assert zeroed(inference(), found, "depth_1") == found.signatures["depth_1"].outputs


@pytest.mark.parametrize(
    ("output", "axes"),
    [
        ("pooled_output", ()),
        ("sequence_output", (1,)),
        ("encoder_outputs_3", (1,)),
        ("embedding_output", (1,)),
        ("attention_scores_2", (2, 3)),
        ("attention_probs_0", (2, 3)),
        ("query_1", (1,)),
        ("text", ()),
        ("words_2", (1,)),
    ],
)
def test_the_axes_that_count_positions(output, axes, inference, outputs):
    features = ["text=mean/max", "words=none@-1"]
    found = outputs(MOBILEBERT, taps=["attention_probs@0", "query@1"], features=features)
    assert position_axes(inference(MOBILEBERT), found, output) == axes


def test_the_call_alone_returns_padding_where_no_signature_does(inference, outputs):
    paths = inference().outputs.paths
    asked = {"layers": "-1", "taps": ["query@0", "query@2"]}
    hidden = {
        name: f"encoder_outputs[{block}]" for block, name in enumerate(["encoder_outputs_0", "encoder_outputs_1"])
    }
    assert called_only(inference(), outputs(**asked)) == hidden
    wanted = {name: path for name, path in paths.items() if name != "pooled_output"}
    wanted |= {name: name for name in ("query_0", "query_2")}
    assert called_only(inference(), outputs(**asked, packed=True)) == wanted
    assert "query_0" not in called_only(inference(), outputs(packed=True))


def test_model_gardens_form_cannot_leave_padding_out(outputs):
    with pytest.raises(UsageError) as caught:
        outputs(graph="model_garden", packed=True)
    assert caught.value.message.startswith("packed=True with graph='model_garden': only the fused graph can")
    error = on_the_command_line(caught.value)
    assert error.message.startswith("--packed with --graph model_garden: only the fused")
    assert error.hint == "leave out --packed, or take --graph fused"


def test_a_form_that_there_is_not_is_refused_with_those_that_there_are(outputs):
    with pytest.raises(UsageError, match=r"graph='frozen': expected one of fused, model_garden"):
        outputs(graph="frozen")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--packed", "--graph", "model_garden"), ("--packed with --graph model_garden", "only the fused graph can")),
        (("--graph", "frozen"), ("--graph", "frozen", "fused", "model_garden")),
    ],
)
def test_the_command_line_refuses_the_same(options, said, modules):
    done = CliRunner().invoke(main, ["plan", str(modules(BERT)), *options])
    assert done.exit_code == UsageError.exit_code
    assert all(word in done.stderr for word in said), done.stderr
