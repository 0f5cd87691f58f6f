"""Edited exports against float64 numpy on the module's own weights, edited there by hand."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import surgery
from surgery.edits import DropBlocks, InsertLayer, KeepBlocks, PruneHeads, ReplaceBlock
from surgery.jobs import edit, steps
from surgery.keras import Encoder
from surgery.tf import edited_blocks as editing
from tests.support import reference_numpy

pytestmark = pytest.mark.usefixtures("short_battery")

NAME = "g4_bert_dropouts"
WITH_MLM = "g4_bert_mlm"
"""It has masked-LM outputs besides, whose copies of the encoder are edited, too. Most tests do without their time."""
HEADS = 4


@pytest.fixture(scope="module", autouse=True)
def unedited_once(tmp_path_factory):
    """The encoder before its edits, which every export rebuilds and judges, is rebuilt and judged once a sample."""
    known = {}

    def rebuild(opened, folder, progress):
        sample = opened.plan.module.folder
        if sample not in known:
            export = tmp_path_factory.mktemp("unedited") / "1"
            recorded = steps.rebuild(opened, export, progress)
            known[sample] = export, recorded, steps.judge(recorded, steps.open_export(export))
        export, recorded, _ = known[sample]
        shutil.copytree(export, folder)
        return recorded

    def judge(recorded, *_):
        (report,) = (report for _, judged, report in known.values() if judged is recorded)
        return report

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(edit, "rebuild", rebuild)
        patch.setattr(edit, "judge", judge)
        yield


@pytest.fixture
def exported(source, tmp_path):
    """`exported(*edits)` writes an edit of the sample and returns what was published, and the loaded export."""

    def make(*edits, name=NAME, **options):
        done = surgery.edit(source(name), *edits).export(tmp_path / "edited" / "1", **options)
        return done, tf.saved_model.load(str(done.destination))

    return make


@pytest.fixture
def weights(source):
    return dict(reference_numpy.read_weights(source(NAME)))


def run(weights, tokens):
    return reference_numpy.Bert(weights, reference_numpy.G4, HEADS).run(tokens)


def assert_same(loaded, expected, tokens):
    found = loaded({name: tf.constant(value) for name, value in tokens.items()})
    for number, states in enumerate(found["encoder_outputs"]):
        np.testing.assert_allclose(states, expected[f"encoder_outputs_{number}"], atol=1e-5)
    np.testing.assert_allclose(found["pooled_output"], expected["pooled_output"], atol=1e-5)


def without_block(weights, gone, blocks):
    """The weights of the blocks that stay, numbered anew."""
    kept = [number for number in range(blocks) if number != gone]
    found = {name: value for name, value in weights.items() if "/layer_" not in name or "embeddings" in name}
    for new, old in enumerate(kept):
        start = f"transformer/layer_{old}/"
        found |= {f"transformer/layer_{new}/{n[len(start) :]}": v for n, v in weights.items() if n.startswith(start)}
    return found


def test_dropping_a_block_leaves_the_encoder_without_it(exported, weights, tokens):
    blocks = reference_numpy.Bert(weights, reference_numpy.G4, HEADS).blocks
    done, loaded = exported(DropBlocks("1"))
    assert_same(loaded, run(without_block(weights, 1, blocks), tokens()), tokens())
    assert done.unchanged == ("embedding_output", "encoder_outputs_0")
    assert "encoder_outputs_1" in done.changed
    manifest = json.loads((done.destination / "assets.extra" / "surgery.json").read_text())
    assert manifest["edits"]["applied"] == [{"edit": "drop block 1", "places": 1}]
    assert manifest["edits"]["unchanged"] == list(done.unchanged)
    names = [v.name for v in loaded.variables]
    assert not any(f"layer_{blocks - 1}/" in name for name in names)


def test_a_shorter_encoder_is_an_encoder_like_any_other(exported, source, tmp_path):
    done, _ = exported(KeepBlocks(":2"), name=WITH_MLM)
    assert surgery.convert(done.destination, tmp_path / "again" / "1").report.passed


def test_pruned_heads_and_their_weights_are_gone(exported, weights, tokens):
    done, loaded = exported(PruneHeads((0, 3), "1"), taps=["query@:2", "attention_probs@1"])
    edited = dict(weights)
    name = "transformer/layer_1/self_attention/attention_output/kernel"
    edited[name] = weights[name].copy()
    edited[name][[0, 3]] = 0.0  # what a head gives is not read: the same function
    assert_same(loaded, run(edited, tokens()), tokens())
    shapes = {v.name.removesuffix(":0"): tuple(v.shape) for v in loaded.variables}
    size = weights[name].shape[1]
    assert shapes[name] == (2, size, weights[name].shape[2])
    assert shapes["transformer/layer_1/self_attention/query/bias"] == (2, size)
    assert shapes["transformer/layer_0/self_attention/query/bias"] == (HEADS, size)
    tapped = loaded.signatures["taps"](**{name: tf.constant(value) for name, value in tokens().items()})
    assert [tapped[f"query_{block}"].shape[2:] for block in (0, 1)] == [(HEADS, size), (2, size)]
    assert tapped["attention_probs_1"].shape[1] == 2
    assert done.unchanged == ("embedding_output", "encoder_outputs_0")


def test_an_inserted_layer_stands_behind_its_block_and_can_be_trained(exported, weights, tokens):
    width = weights["pooler_transform/bias"].shape[0]
    adapter = tf_keras.layers.Dense(width, name="adapter")
    done, loaded = exported(InsertLayer(0, adapter))
    whole = reference_numpy.Bert(weights, reference_numpy.G4, HEADS)
    given, mask = tokens(), tokens()["input_mask"]
    states = whole.block(whole.embed(given["input_word_ids"], given["input_type_ids"]), mask, 0)
    found = loaded({name: tf.constant(value) for name, value in given.items()})
    np.testing.assert_allclose(found["encoder_outputs"][0], states, atol=1e-5)
    moved = states @ adapter.kernel.numpy().astype(np.float64) + adapter.bias.numpy()
    np.testing.assert_allclose(found["encoder_outputs"][1], whole.block(moved, mask, 1), atol=1e-5)
    assert "adapter/kernel:0" in [v.name for v in loaded.trainable_variables]
    layer = Encoder(done.destination, outputs="pooled_output", train_blocks="-1:")
    np.testing.assert_array_equal(layer(given), found["pooled_output"])
    trained = {weight.path.split("/")[1] for weight in layer.trainable_weights}
    assert trained == {"adapter", "transformer", "pooler_transform"}
    assert done.unchanged == ("embedding_output", "encoder_outputs_0")


def test_a_replaced_block_takes_its_weights_along(exported):
    _, loaded = exported(ReplaceBlock(1, tf_keras.layers.Dense(64, name="new_block")), name=WITH_MLM)
    names = [v.name for v in loaded.variables]
    assert "new_block/kernel:0" in names
    assert not any("layer_1/" in name for name in names)
    assert any("layer_2/" in name for name in names)


@pytest.mark.parametrize("name", ["g4_albert", "g4_mobilebert", "g4_talkheads"])
def test_every_family_can_be_shortened_with_further_outputs(name, exported):
    done, loaded = exported(KeepBlocks(":2"), name=name, taps=["attention_probs@-1"], depths=[1])
    assert done.report.passed
    assert {"taps", "depth_1"} <= set(loaded.signatures)
    assert "attention_probs_1" in loaded.signatures["taps"].structured_outputs


def test_a_layer_that_does_not_fit_is_refused_and_nothing_is_written(source, tmp_path):
    edited = surgery.edit(source(NAME), InsertLayer(0, tf_keras.layers.Dense(7, name="narrow")))
    with pytest.raises(surgery.UsageError, match="running narrow on float32"):
        edited.export(tmp_path / "out" / "1")
    assert not (tmp_path / "out").exists()


def test_a_wrong_head_taken_out_is_not_published(source, tmp_path, monkeypatch):
    right = editing.sliced
    monkeypatch.setattr(editing, "sliced", lambda weight, pruned, axis: right(weight, [pruned[0] + 1], axis))
    with pytest.raises(surgery.ParityError, match=r"self_attention/query/kernel: its bits differ"):
        surgery.edit(source(NAME), PruneHeads((0,), "0")).export(tmp_path / "out" / "1")
    assert not (tmp_path / "out").exists()


def test_a_block_that_changed_too_early_is_not_published(source, tmp_path, monkeypatch):
    """The edit claims that block 0 stays; an encoder whose block 0 is edited as well must not pass for it."""
    from surgery.planning.edits import EditedPlan

    monkeypatch.setattr(EditedPlan, "unchanged", property(lambda self: 2))
    with pytest.raises(surgery.ParityError, match="encoder_outputs_1: before the first effect of an edit"):
        surgery.edit(source(NAME), PruneHeads((0,), "1")).export(tmp_path / "out" / "1")
    assert not (tmp_path / "out").exists()
