"""`surgery taps`, and what `plan` and `convert` say to outputs that there cannot be: no TensorFlow, nothing slow."""

from __future__ import annotations

import json
import re

import pytest
from click.testing import CliRunner

from surgery.cli.main import main
from tests.support.probing import run as run_and_probe
from tests.support.running import surgery


def run(*arguments: object):
    """The command in this process: exit code, stdout and stderr."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_the_text_names_every_tap_with_shape_bytes_and_meaning(modules):
    done = surgery("taps", modules("g4_mobilebert"), COLUMNS="200")
    assert done.returncode == 0
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert "Taps of g4_mobilebert (mobilebert, 3 blocks)" in lines
    row = next(line for line in lines if line.startswith("ffn_2_intermediate "))
    assert re.sub(r" {2,}", " | ", row.rstrip()) == (
        "ffn_2_intermediate | [batch, seq, inner 160] | 80.0 KiB | inside a stacked feed-forward, after the activation"
    )
    assert any(line.startswith("attention_probs ") and "[batch, heads 4, seq, seq]" in line for line in lines)
    assert any("reply of 1 x 128 tokens" in line for line in lines)
    assert lines[-1].startswith("no intermediate_preactivation: its dense layers apply the activation themselves")


def test_the_json_tells_the_same_facts(modules):
    shown = run("taps", modules("g4_mobilebert"))
    data = json.loads(run("taps", modules("g4_mobilebert"), "--json").stdout)
    assert {key: data[key] for key in ("name", "family", "blocks", "batch", "length")} == {
        "name": "g4_mobilebert",
        "family": "mobilebert",
        "blocks": 3,
        "batch": 1,
        "length": 128,
    }
    assert len(data["taps"]) == 25
    for tap in data["taps"]:
        assert re.search(rf"^{tap['name']} ", shown.stdout, re.MULTILINE)
        assert len(tap["axes"]) == len(tap["shape"]) >= 3
        assert tap["meaning"]
    assert list(data["not_offered"]) == ["intermediate_preactivation"]
    probs = next(tap for tap in data["taps"] if tap["name"] == "attention_probs")
    assert probs["axes"] == ["batch", "heads", "seq", "seq"]
    assert probs["shape"] == [None, 4, None, None]
    assert probs["bytes"] == 4 * 128 * 128 * 4


def test_bytes_are_those_of_the_reply_that_is_asked_about(modules):
    data = json.loads(run("taps", modules("hf_bert"), "--batch", 3, "--length", 10, "--json").stdout)
    found = {tap["name"]: tap["bytes"] for tap in data["taps"]}
    assert found["query"] == 3 * 10 * 48 * 4
    assert found["attention_probs"] == 3 * 4 * 10 * 10 * 4
    assert found["intermediate"] == 3 * 10 * 96 * 4
    assert data["not_offered"] == {}


def test_the_plan_shows_the_signatures_that_are_asked_for(modules):
    request = ["--tap", "query@-1", "--layers", "-1:", "--feature", "text=none@:2/cls", "--depth", 2]
    request += ["--signature", "probe=query_2,text_0"]
    data = json.loads(run("plan", modules("g4_bert_mlm"), *request, "--json").stdout)
    outputs = {name: set(listed) for name, listed in data["signatures"].items()}
    ends = {"pooled_output", "sequence_output", "embedding_output"}
    assert outputs["serving_default"] == {*ends, "encoder_outputs_2"}
    assert outputs["taps"] == {"query_2"}
    assert outputs["text"] == {"text_0", "text_1"}
    assert outputs["depth_2"] == {"sequence_output", "embedding_output", "encoder_outputs_0", "encoder_outputs_1"}
    assert outputs["probe"] == {"query_2", "text_0"}
    assert outputs["mlm"] >= {"mlm_logits", "encoder_outputs_0"}
    shown = run("plan", modules("g4_bert_mlm"), *request)
    assert re.search(r"signature text +text_0, text_1", shown.stdout)


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--tap", "attention_prob", "did you mean attention_probs"),
        ("--tap", "nope", "it has query, key, value"),
        ("--tap", "query@3", "there is no block 3, there are 3: 0 to 2"),
        ("--layers", "-4", "there is no block -4"),
        ("--feature", "text=mean@-1/average", "poolings: none, cls"),
        ("--depth", "4", "expected 1 to 3"),
        ("--signature", "probe=query_0", "taps have to be asked for with --tap"),
    ],
)
@pytest.mark.parametrize("command", ["plan", "convert"])
def test_outputs_that_there_cannot_be_exit_with_2_and_say_what_to_do(command, option, value, told, modules, tmp_path):
    arguments = [modules("hf_bert"), *([tmp_path / "export"] if command == "convert" else []), option, value]
    done = run(command, *arguments)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert f"{option} {value}" in done.stderr
    assert told in done.stderr
    assert not (tmp_path / "export").exists()


def test_a_tap_that_a_family_cannot_have_is_refused_with_the_reason(modules, tmp_path):
    done = run("convert", modules("g4_mobilebert"), tmp_path / "export", "--tap", "intermediate_preactivation@-1")
    assert done.exit_code == 2
    assert "nothing stands in between" in done.stderr


def test_a_depth_that_is_no_number_is_wrong_usage(modules):
    done = run("plan", modules("hf_bert"), "--depth", "two")
    assert done.exit_code == 2
    assert "Error:" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("taps", "g4_talkheads"), 0),
        (("plan", "hf_bert", "--tap", "query", "--depth", "1"), 0),
        (("convert", "hf_bert", "export", "--tap", "quarry"), 2),
        (("convert", "hf_bert", "export", "--feature", "text=mean@9"), 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_listing_and_refusing_import_no_tensorflow(arguments, code, modules, tmp_path):
    places = {**{name: modules(name) for name in ("g4_talkheads", "hf_bert")}, "export": tmp_path / "export"}
    assert run_and_probe(*(places.get(argument, argument) for argument in arguments)) == (code, [])
    assert not (tmp_path / "export").exists()
