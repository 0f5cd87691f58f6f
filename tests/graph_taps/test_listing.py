"""The tensors of a graph by name, and what is asked of them: without TensorFlow."""

from __future__ import annotations

import json
import shutil

import click
import pytest
from click.testing import CliRunner

import surgery
from surgery.cli.main import main
from surgery.errors import ModuleError, UsageError
from surgery.graph_taps.made_inputs import made_batches
from surgery.graph_taps.selection import default_output, nearest, resolve_taps
from surgery.module import SignatureInfo, TensorInfo
from tests.support.probing import run as run_alone
from tests.support.running import ROOT

SOFTMAX = "model/bert_encoder_1/transformer/layer_{}/self_attention/softmax/Softmax"


def run(*arguments: object):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def g3(modules):
    return surgery.graph(modules("g3_small"))


@pytest.fixture(scope="module")
def tf1(modules):
    return surgery.graph(modules("tf1_bert_small"), signature="tokens")


def names(listing) -> list[str]:
    return [tensor.name for tensor in listing.tensors]


def test_tensors_of_nested_calls_are_listed_once_each_with_what_is_known_of_them(g3):
    found = {tensor.name: tensor for tensor in g3.tensors}
    assert len(found) == len(g3.tensors)
    softmax = found[SOFTMAX.format(2)]
    assert (softmax.op, softmax.dtype, softmax.shape) == ("Softmax", "float32", (None, 6, None, None))
    assert {tensor.dtype for tensor in g3.tensors} <= {"float32", "int32", "bool"}
    assert all(tensor.shape is not None for tensor in g3.tensors)


def test_the_graph_of_a_tf1_signature_is_listed_without_what_it_does_not_compute(tf1, modules):
    found = {tensor.name: tensor for tensor in tf1.tensors}
    assert found["bert/pooler/dense/Tanh"].shape == (None, 48)
    assert not {"input_ids", "mlm_positions", "cls/predictions/add"} & set(found)
    mlm = surgery.graph(modules("tf1_bert_small"), signature="mlm")
    assert {"cls/predictions/add", "bert/pooler/dense/Tanh"} <= set(names(mlm))


def test_tensors_that_are_computed_but_not_returned_are_listed(tf1):
    assert "bert/pooler/dense/Tanh" in names(tf1)
    assert "bert/embeddings/word_embeddings" in tf1.handles


@pytest.mark.parametrize("name", ["g2_small", "g4_bert_mlm", "g4_albert", "g4_mobilebert", "g4_talkheads"])
def test_every_sample_s_graph_is_listed_under_different_names(name: str, modules):
    found = surgery.graph(modules(name))
    assert len(set(names(found))) == len(found.tensors) > 200
    assert found.signature.name == "serving_default"


def test_a_pattern_without_wildcards_is_a_part_of_a_name_and_capitals_count(modules):
    found = surgery.graph(modules("g3_small"), match="softmax/Softmax")
    assert names(found) == [SOFTMAX.format(layer) for layer in range(4)]
    assert names(surgery.graph(modules("g3_small"), match="SOFTMAX")) == []


def test_a_glob_is_for_the_whole_name(modules):
    def matched(pattern: str) -> list[str]:
        return names(surgery.graph(modules("g3_small"), match=pattern))

    assert matched("*/layer_[13]/*/Softmax") == [SOFTMAX.format(1), SOFTMAX.format(3)]
    assert matched("Softmax*") == []
    assert matched("*layer_?/self_attention/softmax/Softmax") == [SOFTMAX.format(layer) for layer in range(4)]


def test_a_module_with_several_signatures_and_no_default_asks_which(modules):
    with pytest.raises(UsageError, match="mlm, tokenization_info, tokens"):
        surgery.graph(modules("tf1_bert_small"))


def test_an_unknown_signature_is_refused_with_those_that_there_are(modules):
    with pytest.raises(UsageError, match="signature='nonsense': g3_small has no such signature"):
        surgery.graph(modules("g3_small"), signature="nonsense")


def test_a_checkpoint_has_no_graph_and_a_missing_folder_is_missing(modules, tmp_path):
    with pytest.raises(ModuleError, match="Hugging Face checkpoint, which has weights but no graph"):
        surgery.graph(modules("hf_bert"))
    with pytest.raises(ModuleError, match="no such folder"):
        surgery.graph(tmp_path / "nothing")
    (tmp_path / "something").mkdir()
    with pytest.raises(ModuleError, match="expected a SavedModel"):
        surgery.graph(tmp_path / "something")


def test_an_archive_is_listed_like_its_folder(g3):
    packed = surgery.graph(ROOT / "tests" / "modules" / "g3_small.tar.gz")
    assert packed.tensors == g3.tensors


def test_into_a_pipe_goes_one_row_a_tensor(modules, g3):
    done = run("graph", modules("g3_small"))
    assert done.exit_code == 0
    rows = [line.split() for line in done.stdout.splitlines()]
    assert [row[0] for row in rows] == names(g3)
    assert rows[-1][1:] == ["Identity", "float32", "[?,", "?,", "48]"]


def test_json_has_the_same_facts(modules, g3):
    data = json.loads(run("graph", modules("g3_small"), "--json").stdout)
    assert [(t["name"], t["op"], t["dtype"]) for t in data["tensors"]] == [(t.name, t.op, t.dtype) for t in g3.tensors]
    assert data["tensors"][-1]["shape"] == [None, None, 48]
    assert data["signature"] == "serving_default"
    assert [tensor["key"] for tensor in data["outputs"]] == ["bert_encoder_1", "bert_encoder_1_1"]


def test_a_pattern_that_matches_nothing_says_so_beside_the_data(modules):
    done = run("graph", modules("g3_small"), "--match", "nonsense")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "no tensor of g3_small matches nonsense" in done.stderr


def test_a_terminal_gets_a_heading_and_columns(modules, monkeypatch, capsys):
    from surgery.cli.terminal import show

    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    show(surgery.graph(modules("g3_small"), match="Softmax"), False)
    lines = capsys.readouterr().out.splitlines()
    assert click.unstyle(lines[0]) == "g3_small, signature serving_default: 4 tensors"
    assert lines[1].split() == ["tensor", "operation", "dtype", "shape"]
    assert len(lines) == 6


def refused(listing, *selections: str) -> str:
    with pytest.raises(UsageError) as caught:
        resolve_taps(listing, selections)
    return caught.value.message


def test_an_output_is_called_as_asked_or_after_its_tensor(g3):
    one, two, three = resolve_taps(
        g3, [f"{SOFTMAX.format(0)}=first", SOFTMAX.format(1), f"{SOFTMAX.format(2)}:0=third"]
    )
    assert (one.output, one.tensor.name) == ("first", SOFTMAX.format(0))
    assert two.output == "model_bert_encoder_1_transformer_layer_1_self_attention_softmax_Softmax"
    assert three.tensor.name == SOFTMAX.format(2)
    assert default_output("layer/Split:1") == "layer_Split_1"


def test_one_tensor_may_become_two_outputs(g3):
    assert len(resolve_taps(g3, [f"{SOFTMAX.format(0)}=a", f"{SOFTMAX.format(0)}=b"])) == 2


def test_an_unknown_tensor_is_refused_with_the_nearest_names(g3):
    message = refused(g3, SOFTMAX.format(0).replace("Softmax", "Softmux"))
    assert "there is no such tensor; the nearest are " in message
    assert SOFTMAX.format(0) in message
    assert SOFTMAX.format(3) in refused(g3, "layer_3/self_attention/softmax/Soft")


def test_names_that_contain_what_was_typed_come_first_then_those_spelt_alike():
    known = ["a/dense/Relu", "a/dense/Relu_1", "b/dense/MatMul", "elsewhere"]
    assert nearest("relu", known)[:2] == ["a/dense/Relu", "a/dense/Relu_1"]
    assert nearest("a/dense/Rellu", known)[0] == "a/dense/Relu"
    assert nearest("zzz", known) == []


def test_every_fault_is_told_at_once(g3):
    message = refused(
        g3, "nonsense", f"{SOFTMAX.format(0)}=a/b", f"{SOFTMAX.format(0)}=", f"{SOFTMAX.format(0)}=bert_encoder_1"
    )
    assert message.count("\n") == 4
    assert message.count("with an OUTPUT of letters, digits and _") == 2
    assert "the signature has an output of that name, bert_encoder_1" in message


def test_two_tensors_cannot_have_one_output(g3):
    message = refused(g3, f"{SOFTMAX.format(0)}=x", f"{SOFTMAX.format(1)}=x")
    assert f"tensors='{SOFTMAX.format(1)}=x': tensors='{SOFTMAX.format(0)}' has that output already, x" in message


def test_an_output_that_an_operation_lacks_an_input_and_a_variable_are_refused_as_such(g3, tf1):
    assert f"{SOFTMAX.format(0)} has the outputs {SOFTMAX.format(0)}" in refused(g3, SOFTMAX.format(0) + ":1")
    assert "it is an input of the signature" in refused(g3, "input_word_ids")
    assert "it is an input of the signature" in refused(tf1, "input_ids")
    assert "it is a handle" in refused(tf1, "bert/embeddings/word_embeddings")
    assert "no tensors=... was given" in refused(g3)


def test_listing_and_refusals_import_no_tensorflow(modules, tmp_path):
    module, there = modules("g3_small"), tmp_path / "there"
    shutil.copytree(module, tmp_path / "old")
    assert run_alone("graph", "--help") == (0, [])
    assert run_alone("tap", "--help") == (0, [])
    assert run_alone("graph", module, "--json") == (0, [])
    assert run_alone("tap", module, there, "--tensor", "nonsense") == (2, [])
    assert run_alone("tap", module, there, "--tensor", f"{SOFTMAX.format(0)}=bert_encoder_1") == (2, [])
    assert run_alone("tap", module, tmp_path / "old", "--tensor", SOFTMAX.format(0)) == (2, [])
    assert run_alone("tap", modules("hf_bert"), there, "--tensor", "x") == (3, [])
    assert not there.exists()


def batches(*tensors: TensorInfo):
    return list(made_batches(SignatureInfo(name="s", inputs=tensors, outputs=())))


def test_made_inputs_fit_their_shapes_and_free_axes_agree():
    first, second, *_ = batches(
        TensorInfo(key="ids", dtype="int32", shape=(None, None), name="ids:0"),
        TensorInfo(key="image", dtype="float32", shape=(None, 8, 8, 3), name="image:0"),
        TensorInfo(key="flag", dtype="bool", shape=(), name="flag:0"),
        TensorInfo(key="any", dtype="float32", shape=None, name="any:0"),
    )
    assert {key: array.shape for key, array in first.arrays.items()} == {
        "ids": (1, 1),
        "image": (1, 8, 8, 3),
        "flag": (),
        "any": (1,),
    }
    assert [second.arrays[key].shape[0] for key in ("ids", "image", "any")] == [3, 3, 3]
    assert second.arrays["ids"].dtype == "int32"
    assert set(second.arrays["ids"].ravel()) <= {0, 1}


def test_made_inputs_are_the_same_every_time_and_differ_between_batches():
    tensor = TensorInfo(key="x", dtype="float32", shape=(2, 3), name="x:0")
    again, found = batches(tensor), batches(tensor)
    assert all((a.arrays["x"] == b.arrays["x"]).all() for a, b in zip(again, found, strict=True))
    assert (found[0].arrays["x"] != found[1].arrays["x"]).any()


def test_made_strings_are_words_and_in_the_end_empty():
    made = batches(TensorInfo(key="text", dtype="string", shape=(None,), name="text:0"))
    assert made[1].arrays["text"].tolist()[0] == b"the quick brown fox"
    assert set(made[-1].arrays["text"].tolist()) == {b""}


@pytest.mark.parametrize(
    ("dtype", "name"), [("variant", "x:0"), ("resource", "x:0"), ("qint8", "x:0"), ("float32", None)]
)
def test_inputs_that_cannot_be_made_are_refused(dtype: str, name: str | None):
    with pytest.raises(ModuleError, match="making inputs"):
        batches(TensorInfo(key="x", dtype=dtype, shape=(None,), name=name))
