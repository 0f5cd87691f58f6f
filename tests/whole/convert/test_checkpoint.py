"""Checkpoints whose outputs are compared with the module's own graphs, and checkpoints that convert back."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file

import surgery
from scripts.tools.interop.cases import CASES, RATES
from scripts.tools.interop.cases import request as interop_request
from surgery.checkpoints.plan import CheckpointRequest
from surgery.edits import DropBlocks
from surgery.errors import ParityError
from surgery.explanation import recognition
from surgery.explanation.tokenization import find_tokenization, read_constants
from surgery.jobs import edit as edit_job
from surgery.jobs.checkpoint import write_checkpoint
from surgery.jobs.convert import convert_module
from surgery.jobs.texts import TRIED
from surgery.jobs.verify import verify_export
from tests.support.builders import hugging_face
from tests.support.conversions import two_batches
from tests.support.editing import inspected

verified = partial(write_checkpoint, verify=True, battery=two_batches)
BOUND = 1e-10


@pytest.mark.parametrize(
    ("name", "request_"),
    [
        ("g2_small", CheckpointRequest()),
        ("g4_electra", CheckpointRequest(drop_pooler=True)),
        ("tf1_albert_small", CheckpointRequest()),
        ("g4_mobilebert", CheckpointRequest()),
    ],
)
def test_a_checkpoint_computes_what_the_module_s_own_graphs_compute(name, request_, source, tmp_path):
    done = verified(str(source(name)), tmp_path / "out", request_)
    differences = done.differences
    assert differences.passed
    assert differences.largest <= BOUND
    names = {diff.name for diff in differences.outputs}
    assert {"embedding_output", "sequence_output"} <= names
    assert ("pooled_output" in names) is not request_.drop_pooler
    assert ("mlm.mlm_logits" in names) is ("mlm" in done.planned.plan.inference.submodels)
    assert "in double precision" in (done.destination / "README.md").read_text()


@pytest.mark.parametrize("name", ["g4_bert_mlm"])
def test_an_export_of_ours_becomes_the_module_s_own_checkpoint(name, converted, source, tmp_path):
    export = verified(str(converted(name).export), tmp_path / "export")
    assert export.differences.passed
    module = surgery.checkpoint(source(name), tmp_path / "module")
    for file in ("config.json", "model.safetensors", "vocab.txt", "tokenizer_config.json"):
        assert (export.destination / file).read_bytes() == (module.destination / file).read_bytes(), file


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """The Hugging Face classifier that is made of an Estimator's export, and its own export."""
    root = tmp_path_factory.mktemp("classifier")
    (case,) = (case for case in CASES if case.name == "bert_classifier")
    folder = case.write(root / "hf").destination
    return case, folder, convert_module(str(folder), root / "export" / "1", battery=two_batches)


def test_an_export_of_a_classifier_returns_the_logits_of_transformers(classifier):
    case, _, done = classifier
    assert done.report.passed
    assert "classifier.logits" in {diff.name for diff in done.report.outputs}
    answer, asked = np.load(case.file), interop_request()
    ids = asked["input_ids"] % done.plan.architecture["vocab_size"]
    tokens = {"input_word_ids": ids, "input_mask": asked["attention_mask"], "input_type_ids": asked["token_type_ids"]}
    found = tf.saved_model.load(str(done.destination)).signatures["classifier"](
        **{name: tf.constant(value) for name, value in tokens.items()}
    )
    np.testing.assert_allclose(found["logits"], answer["logits"], atol=1e-5)


def test_an_export_of_a_classifier_comes_home_with_its_labels(classifier, tmp_path):
    """The labels' names, which no graph shows, are carried by the manifest."""
    _, folder, done = classifier
    assert done.manifest["head"]["names"] == ["negative", "positive"]
    home = verified(str(done.destination), tmp_path / "home", CheckpointRequest(tokenizer=False))
    assert "classifier.logits" in {diff.name for diff in home.differences.outputs}
    for file in ("config.json", "model.safetensors"):
        assert (home.destination / file).read_bytes() == (folder / file).read_bytes(), file
    assert verify_export(str(folder), done.destination, battery=two_batches).report.passed


def test_the_logits_of_a_saved_classifier_are_computed_on_both_sides(source, tmp_path):
    request, assume = CheckpointRequest(tokenizer=False), dict.fromkeys(RATES, 0.1)
    done = verified(str(source("tf1_estimator")), tmp_path / "out", request, assume=assume)
    assert {"pooled_output", "classifier.logits"} <= {diff.name for diff in done.differences.outputs}
    assert done.differences.largest <= BOUND


def test_an_edited_export_has_the_blocks_that_are_left(source, tmp_path, short_battery):
    edited = surgery.edit(source("g2_small"), DropBlocks("1")).export(tmp_path / "edited").destination
    done = verified(str(edited), tmp_path / "out")
    assert json.loads((done.destination / "config.json").read_text())["num_hidden_layers"] == 2


def test_an_edited_classifier_keeps_its_head_and_its_labels(tmp_path, monkeypatch):
    monkeypatch.setattr(edit_job, "export_edited", partial(edit_job.export_edited, battery=two_batches))
    module = hugging_face.build_classifier(tmp_path / "module")
    done = surgery.edit(module, DropBlocks("1")).export(tmp_path / "edited")
    assert done.report.unmatched == ()
    assert "classifier.logits" in {diff.name for diff in done.report.outputs}
    home = surgery.checkpoint(done.destination, tmp_path / "home", tokenizer=False)
    config = json.loads((home.destination / "config.json").read_text())
    assert (config["num_hidden_layers"], config["id2label"]["1"]) == (2, "yes")


def test_a_head_with_a_hidden_layer_comes_back_from_the_graph_of_its_export(tmp_path):
    """DistilBERT's reads the first token by ReLU. The fused graph leaves padding out where the head is served."""
    module = hugging_face.build_classifier(tmp_path / "module", "hf_distilbert", hidden=True)
    done = convert_module(str(module), tmp_path / "export", battery=two_batches)
    assert "classifier.logits" in {diff.name for diff in done.report.outputs}
    home = verified(str(done.destination), tmp_path / "home", CheckpointRequest(tokenizer=False))
    assert "classifier.logits" in {diff.name for diff in home.differences.outputs}
    weights = [load_file(folder / "model.safetensors") for folder in (module, home.destination)]
    assert weights[0].keys() == weights[1].keys()
    assert all(weights[0][name].tobytes() == weights[1][name].tobytes() for name in weights[0])


def test_a_slip_in_the_rows_passes_the_accounting_and_not_the_computation(source, tmp_path, monkeypatch):
    """The rows that name the tensors read them back, too. The computation has names of its own."""

    def confused(rule):
        swapped = rule.pattern.replace("self.query", "self.?").replace("self.key", "self.query")
        return replace(rule, pattern=swapped.replace("self.?", "self.key"))

    families = [
        replace(family, dialects=tuple(replace(d, rules=tuple(map(confused, d.rules))) for d in family.dialects))
        for family in recognition.FAMILIES
    ]
    monkeypatch.setattr(recognition, "FAMILIES", tuple(families))
    assert surgery.checkpoint(source("g2_small"), tmp_path / "unverified").accounting.passed
    with pytest.raises(ParityError, match=r"encoder_outputs_0.*in double precision"):
        verified(str(source("g2_small")), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_mobilebert_checkpoint_converts_back_to_the_same_weights(source, tmp_path, short_battery):
    done = surgery.checkpoint(source("g4_mobilebert"), tmp_path / "hf")
    back = surgery.convert(
        done.destination, tmp_path / "back", taps=["ffn_1_norm@0", "kq_shared_bottleneck", "ffn_output"]
    )
    assert back.report.passed
    assert {"taps.ffn_1_norm_0", "taps.ffn_output_2", "attention_scores_1"} <= {d.name for d in back.report.outputs}
    again = surgery.checkpoint(back.destination, tmp_path / "again")
    weights = [(folder / "model.safetensors").read_bytes() for folder in (done.destination, again.destination)]
    assert weights[0] == weights[1]


@pytest.mark.parametrize("case", [case for case in CASES if case.name in ("bert_masked_lm", "bert_cased", "albert")])
def test_the_tokens_of_transformers_are_those_of_the_text_export(case, source):
    """Accents, CJK, punctuation, an empty text, a long one, and a long word.

    Control characters are left out: tensorflow_text ends a word at them, and google-research's tokenization.py, which
    transformers follows, removes them.
    """
    from surgery.tf.text_export import Packer

    module = inspected(source(case.module))
    lower_case = case.options.get("lower_case")
    tokenization = find_tokenization(module, read_constants(module), lower_case=lower_case)
    packed = Packer(tokenization, 96)
    theirs = json.loads(str(np.load(case.file)["ids"]))
    for text, ids in zip(TRIED, theirs, strict=True):
        if "\x00" in text:
            continue
        tokens = packed(np.array([text]))
        ours = tokens["input_word_ids"].numpy()[0][tokens["input_mask"].numpy()[0] == 1].tolist()
        assert ours == ids, text
