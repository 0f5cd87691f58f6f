"""Exports of TF1 checkpoints against those of the TF1 modules whose weights they are; and what a training leaves."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
import tensorflow as tf

import surgery
from surgery.errors import ContradictionError
from tests.support.builders.checkpoints import build_released
from tests.support.builders.training_graphs import write_training_graph
from tests.support.editing import inspected
from tests.support.reference_numpy import G4, Bert, read_weights
from tests.support.sample_names import TF1_CHECKPOINTS
from tests.support.tampering import contents

CLOSE = 2e-5
TRAINED = {"tf1_bert_training": "tf1_bert_checkpoint", "tf1_albert_training": "tf1_albert_checkpoint"}


@pytest.fixture
def inputs(tokens):
    """Tokens, and positions for the masked-LM head."""
    positions = tf.constant([[0, 1, 8], [3, 3, 2], [7, 0, 1]])
    return {
        **{name: tf.constant(value) for name, value in tokens(vocab=1200).items()},
        "masked_lm_positions": positions,
    }


def outputs(loaded, inputs):
    """Everything that both signatures return, those of the head as `mlm/…`."""
    head = loaded.signatures["mlm"](**inputs)
    encoder = loaded.signatures["serving_default"](**{k: v for k, v in inputs.items() if k != "masked_lm_positions"})
    return {**encoder, **{f"mlm/{name}": value for name, value in head.items()}}


def furthest(found, expected):
    """The largest difference of any output, by name."""
    assert found.keys() == expected.keys()
    return {name: float(tf.reduce_max(tf.abs(found[name] - expected[name]))) for name in expected}


@pytest.mark.parametrize("name", TF1_CHECKPOINTS)
def test_every_output_is_that_of_the_module_with_the_same_weights(name, load, inputs):
    found, expected = outputs(load(name), inputs), outputs(load(TF1_CHECKPOINTS[name]), inputs)
    # The module's own head returns its ends only.
    assert {other.partition("_outputs_")[0] for other in found.keys() - expected.keys()} == {"mlm/encoder"}
    differences = furthest({name: found[name] for name in expected}, expected)
    assert {"pooled_output", "embedding_output", "encoder_outputs_2", "mlm/mlm_logits"} <= differences.keys()
    assert max(differences.values()) <= CLOSE


@pytest.mark.parametrize("name", TF1_CHECKPOINTS)
def test_the_masked_lm_head_is_compared_with_the_reference(name, converted):
    diffs = {diff.name: diff for diff in converted(name).conversion.report.outputs}
    assert diffs["mlm.mlm_logits"].passed
    assert 0 < diffs["mlm.mlm_logits"].difference < 1e-13
    assert 0 < diffs["mlm.mlm_logits"].export_error < 1e-5


@pytest.mark.parametrize("name", TRAINED)
def test_what_training_leaves_is_dropped_with_its_reasons(name, converted):
    done = converted(name).conversion
    dropped = {d.variable.name: d.because for d in done.plan.weights.dropped}
    slots = [variable for variable, because in dropped.items() if because.startswith("a slot of the optimiser")]
    left = set(dropped) - set(slots)
    assert left == {"global_step", "cls/seq_relationship/output_weights", "cls/seq_relationship/output_bias"}
    assert all(variable.endswith(("/adam_m", "/adam_v")) for variable in slots)
    weights = {a.variable.name for a in done.plan.weights.assignments}
    assert len(slots) == 2 * (len(weights) + 2)
    assert {row["variable"]: row["because"] for row in done.manifest["dropped"]} == dropped
    exported = [variable.name for variable in inspected(converted(name).export).variables]
    assert sorted(exported) == sorted(a.target for a in done.plan.weights.assignments)


def test_a_training_s_checkpoint_in_two_files_is_the_same_encoder_as_the_released_one(converted, load, inputs):
    assert len(list(converted("tf1_bert_training").source.glob("*.data-*-of-00002"))) == 2
    found, expected = (outputs(load(name), inputs) for name in ("tf1_bert_training", "tf1_bert_checkpoint"))
    assert max(furthest(found, expected).values()) == 0


def test_a_second_norm_of_the_shared_block_acts(load, inputs):
    found = outputs(load("tf1_albert_training"), inputs)
    expected = {name: value for name, value in outputs(load("tf1_albert_checkpoint"), inputs).items() if name in found}
    differences = furthest(found, expected)
    assert differences["embedding_output"] == 0
    assert differences["encoder_outputs_0"] > 0.1


def test_the_report_says_that_the_reference_is_the_config_s_function_in_float64(converted):
    report = converted("tf1_albert_checkpoint").conversion.report
    assert "albert_config.json" in report.reference
    assert "float64" in report.reference


def test_an_export_is_verified_against_its_checkpoint_and_no_other(converted):
    export = converted("tf1_bert_checkpoint").export
    assert surgery.verify(converted("tf1_bert_checkpoint").source, export).report.passed
    # The module has these weights too, and its own graph is the reference then.
    module = surgery.verify(converted("tf1_bert_small").source, export).report
    assert all(diff.passed for diff in module.outputs)
    assert module.weights.mismatches == ("do_lower_case: missing in the export",)
    other = surgery.verify(converted("tf1_bert_checkpoint").source, export, assume={"hidden_act": "gelu"}).report
    assert other.first_divergence.name == "encoder_outputs_0"
    assert "hidden_act: the module has gelu, the export gelu_tanh" in other.contract


@pytest.fixture
def with_graph(tmp_path):
    """A released BERT checkpoint with the graph of a training beside it."""

    def make(**fields):
        folder = build_released(tmp_path / "checkpoint")
        write_training_graph(folder / "bert_model.ckpt.meta", **fields)
        return folder

    return make


@pytest.mark.parametrize(("exact", "means"), [(True, "gelu"), (False, "gelu_tanh")])
def test_the_graph_of_a_training_decides_which_gelu_is_meant(exact, means, with_graph):
    inference = surgery.plan(with_graph(exact_gelu=exact)).inference
    assert (inference.architecture["hidden_act"], inference.architecture["mlm_act"]) == (means, means)
    evidence = {(e.field, e.kind): e for e in inference.evidence}
    assert evidence["hidden_act", "graph"].place.rpartition("/")[2] == ("Erf" if exact else "Tanh")
    assert evidence["layer_norm_eps", "graph"].value == evidence["layer_norm_eps", "code"].value == 1e-12


def test_a_training_with_another_epsilon_than_the_code_s_is_a_contradiction(with_graph):
    with pytest.raises(ContradictionError, match=r"layer_norm_eps is 1e-06 .*but 1e-12 at google-research/bert"):
        surgery.plan(with_graph(exact_gelu=True, epsilon=1e-6))


def test_a_checkpoint_of_2018_is_converted_with_the_gelu_of_2018(with_graph, load, inputs, tmp_path):
    done = surgery.convert(with_graph(exact_gelu=True), tmp_path / "export")
    assert done.report.passed
    found = outputs(tf.saved_model.load(str(tmp_path / "export")), inputs)
    by_hand = Bert(read_weights(tmp_path / "export"), G4, heads=6, exact_gelu=True)
    expected = by_hand.run({name: value.numpy() for name, value in inputs.items()})
    assert max(float(np.max(np.abs(found[name].numpy() - value))) for name, value in expected.items()) <= CLOSE
    differences = furthest(found, outputs(load("tf1_bert_checkpoint"), inputs))
    assert differences["embedding_output"] == 0
    assert min(differences["encoder_outputs_0"], differences["mlm/mlm_logits"]) > 2 * CLOSE


def test_an_archive_is_converted_with_its_weights(converted, tmp_path):
    with zipfile.ZipFile(tmp_path / "uncased.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in converted("tf1_bert_checkpoint").source.iterdir():
            archive.write(path, f"uncased/{path.name}")
    done = surgery.convert(tmp_path / "uncased.zip", tmp_path / "export")
    before = converted("tf1_bert_checkpoint").conversion
    assert done.manifest["assignments"] == before.manifest["assignments"]
    assert (tmp_path / "export" / "assets" / "vocab.txt").is_file()


@pytest.mark.parametrize("damage", ["flip", "cut"])
def test_damaged_weights_are_named_and_nothing_is_written(damage, tmp_path):
    folder = build_released(tmp_path / "checkpoint")
    (path,) = folder.glob("*.data-*")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x40
    path.write_bytes(data if damage == "flip" else data[: len(data) // 2])
    before = contents(folder)
    with pytest.raises(surgery.ModuleError, match=r"bert_model\.ckpt\.\*") as caught:
        surgery.convert(folder, tmp_path / "out" / "1")
    assert "damaged" in caught.value.hint
    assert not (tmp_path / "out").exists()
    assert contents(folder) == before
