"""surgery.keras.Encoder: an export as a layer of Keras 3 is called, trained, saved, exported, and converted again."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_hub as hub
import tf_keras

import surgery
from surgery.edits import InsertLayer
from surgery.formats import saved_model as saved_model_pb
from surgery.keras import Encoder
from tests.support.running import environment

NAMES = ("input_word_ids", "input_mask", "input_type_ids")
LABELS = np.array([[1.0], [0.0], [1.0]], np.float32)


def network(encoder: Encoder) -> keras.Model:
    """A functional model with a head on the pooled output."""
    inputs = {name: keras.Input((None,), dtype="int32", name=name) for name in NAMES}
    return keras.Model(inputs, keras.layers.Dense(1, name="head")(encoder(inputs)))


def classifier(encoder: Encoder) -> keras.Model:
    model = network(encoder)
    model.compile(keras.optimizers.Adam(1e-2), keras.losses.BinaryCrossentropy(from_logits=True))
    return model


def values(encoder: Encoder) -> dict[str, np.ndarray]:
    return {weight.path.partition("/")[2]: weight.numpy() for weight in encoder.weights}


def moved(before: dict[str, np.ndarray], encoder: Encoder) -> set[str]:
    return {name for name, value in values(encoder).items() if not np.array_equal(value, before[name])}


def arrays(outputs) -> Iterator[np.ndarray]:
    return map(np.asarray, tf.nest.flatten(outputs))


@pytest.mark.parametrize("name", ["g4_bert_dropouts"])
def test_gradients_are_those_of_tf_keras(name, converted, tokens):
    given = {key: tf.constant(value) for key, value in tokens().items()}
    ours, theirs = Encoder(converted(name).export), hub.KerasLayer(str(converted(name).export), trainable=True)

    def gradients(layer, variables):
        with tf.GradientTape() as tape:
            outputs = layer(given, training=False)
            loss = tf.reduce_sum(outputs["pooled_output"] ** 3) + tf.reduce_mean(outputs["encoder_outputs"][0] ** 2)
        return [None if g is None else tf.convert_to_tensor(g).numpy() for g in tape.gradient(loss, variables)]

    expected = dict(
        zip([v.name for v in theirs.trainable_variables], gradients(theirs, theirs.trainable_variables), strict=True)
    )
    found = dict(
        zip([w.value.name for w in ours.trainable_weights], gradients(ours, ours.trainable_weights), strict=True)
    )
    assert found.keys() == expected.keys()
    assert all(np.abs(value).max() > 0 for key, value in expected.items() if not key.endswith("key/bias:0"))
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-6, atol=1e-6 * max(1.0, float(np.abs(value).max())))


@pytest.mark.parametrize("name", ["g4_bert_dropouts"])
def test_dropout_in_training_has_the_rate_of_the_source(name, converted):
    encoder, ids = Encoder(converted(name).export), np.random.default_rng(0).integers(1, 200, (16, 32))
    rate = converted(name).conversion.plan.architecture["embedding_dropout"]
    assert 0.05 < rate < 0.5
    dropped = [float(np.mean(encoder(ids, training=True)["embedding_output"] == 0)) for _ in range(2)]
    assert all(abs(share - rate) < 0.02 for share in dropped)
    assert dropped[0] != dropped[1]
    assert np.all(np.asarray(encoder(ids)["embedding_output"]) != 0)


@pytest.mark.parametrize("name", ["g4_bert_dropouts"])
def test_every_form_of_tokens_gives_the_same_numbers(name, converted, load):
    encoder = Encoder(converted(name).export, outputs="pooled_output")
    ids = np.array([[2, 9, 14, 3], [2, 8, 3, 0]])
    mask, types = (ids != 0).astype(np.int32), np.zeros_like(ids, np.int32)
    whole = dict(zip(NAMES, map(tf.constant, (ids.astype(np.int32), mask, types)), strict=True))
    expected = load(name)(whole)["pooled_output"]
    for form in (ids, ids.astype(np.int32), [ids, mask], {"input_ids": ids, "attention_mask": mask}, whole):
        np.testing.assert_array_equal(encoder(form), expected)
    np.testing.assert_array_equal(encoder(input_word_ids=ids, input_mask=mask.astype(bool)), expected)
    assert np.abs(encoder(input_ids=ids, input_mask=np.ones_like(ids)) - expected).max() > 1e-3


@pytest.mark.parametrize("name", ["g4_mobilebert_layer_norm"])
def test_outputs_are_chosen_by_name_with_the_numbers_of_the_signatures(name, tapped):
    export = tapped(name)
    wanted = {
        "serving_default": ("pooled_output", "encoder_outputs_1"),
        "taps": ("attention_probs_1", "query_0"),
        "text": ("text",),
        "twice": ("twice",),
        "hidden_states": ("hidden_states_0", "hidden_states_2"),
    }
    names = [output for outputs in wanted.values() for output in outputs]
    encoder = Encoder(export.export, outputs=[*names, "sum=sum@0,-1/max", "encoder_outputs"])
    outputs = encoder(export.inputs)
    assert list(outputs) == [*names, "sum", "encoder_outputs"]
    for signature, some in wanted.items():
        for output in some:
            np.testing.assert_allclose(outputs[output], export.outputs[signature][output], atol=1e-5)
    blocks, mask = outputs["encoder_outputs"], export.inputs["input_mask"][:, :, None] != 0
    both = np.where(mask, blocks[1] + blocks[-1], -np.inf).max(axis=1)
    np.testing.assert_allclose(outputs["sum"], both, atol=1e-5)
    symbolic = encoder({key: keras.Input(value.shape[1:], dtype="int64") for key, value in export.inputs.items()})
    assert [t.shape[1:] for t in tf.nest.flatten(symbolic)] == [t.shape[1:] for t in tf.nest.flatten(outputs)]


@pytest.mark.parametrize("name", ["g4_bert_dropouts"])
def test_a_frozen_layer_trains_nothing_and_thaws_to_its_own_blocks(name, converted):
    encoder = Encoder(converted(name).export, train_blocks="-1:", trainable=False)
    assert encoder.trainable_weights == []
    encoder.trainable = True
    assert len(encoder.trainable_weights) == 16 + 2


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """A classifier after a step of Adam on its last two blocks, saved in a folder from which its export is gone."""

    folder: Path
    inputs: dict[str, np.ndarray]
    predictions: np.ndarray
    moved: set[str]
    trained: set[str]
    one_memory: bool


@pytest.fixture(scope="module")
def tuned(converted, tokens, tmp_path_factory) -> Tuned:
    folder, inputs = tmp_path_factory.mktemp("tuned"), tokens(vocab=200)
    shutil.copytree(converted("g4_bert_dropouts").export, folder / "export")
    encoder = Encoder(folder / "export", outputs="pooled_output", train_blocks="-2:", name="bert")
    model, before = classifier(encoder), values(encoder)
    model.fit(inputs, LABELS, verbose=0)
    model.save(folder / "tuned.keras")
    model.save_weights(folder / "tuned.weights.h5")
    shutil.rmtree(folder / "export")
    inside = {v.name.removesuffix(":0"): v.numpy() for v in encoder._own.kept.loaded.variables}
    return Tuned(
        folder=folder,
        inputs=inputs,
        predictions=model.predict(inputs, verbose=0),
        moved=moved(before, encoder),
        trained={weight.path.partition("/")[2] for weight in encoder.trainable_weights},
        one_memory=all(np.array_equal(value, values(encoder)[name]) for name, value in inside.items()),
    )


@pytest.mark.parametrize("name", ["g4_bert_dropouts"])
def test_a_step_of_adam_moves_what_is_trained_and_nothing_else(name, tuned, converted):
    weights = converted(name).conversion.plan.weights.assignments
    trainable = {a.target for a in weights if a.variable.trainable and a.part == "encoder"}
    top = {target for target in trainable if re.match(r"pooler|transformer/layer_[12]/", target)}
    assert len(top) == 2 * 16 + 2
    assert tuned.moved == tuned.trained == top
    assert tuned.one_memory
    encoder = Encoder(converted(name).export, outputs="pooled_output")
    model, before = classifier(encoder), values(encoder)
    assert len(before) == len(encoder.weights)
    model.train_on_batch(tuned.inputs, LABELS)
    assert moved(before, encoder) == trainable


@pytest.mark.parametrize("name", ["g4_bert_dropouts"])
def test_a_model_is_read_back_without_the_folder_and_goes_on_training(name, tuned):
    folder, inputs, expected = tuned.folder, tuned.inputs, tuned.predictions
    model = keras.saving.load_model(folder / "tuned.keras")
    np.testing.assert_array_equal(model.predict(inputs, verbose=0), expected)
    before = values(model.get_layer("bert"))
    model.fit(inputs, LABELS, verbose=0)
    assert len(moved(before, model.get_layer("bert"))) == 34
    model.save(folder / "again.keras")
    again = keras.saving.load_model(folder / "again.keras")
    np.testing.assert_array_equal(again.predict(inputs, verbose=0), model.predict(inputs, verbose=0))


@pytest.mark.parametrize("name", ["g4_bert_dropouts"])
def test_weights_are_read_by_name_whatever_is_trained(name, tuned, converted):
    folder, inputs, expected = tuned.folder, tuned.inputs, tuned.predictions
    model = network(Encoder(converted(name).export, outputs="pooled_output", name="bert"))
    assert np.abs(model.predict(inputs, verbose=0) - expected).max() > 1e-3
    model.load_weights(folder / "tuned.weights.h5")
    np.testing.assert_array_equal(model.predict(inputs, verbose=0), expected)


@pytest.mark.parametrize("name", ["g4_bert_dropouts"])
def test_a_configuration_makes_the_layer_anew_or_says_what_is_missing(name, converted, tmp_path):
    shutil.copytree(converted(name).export, tmp_path / "export")
    encoder = Encoder(tmp_path / "export", outputs=["pooled_output", "x=mean@-1/mean"], train_blocks=-1)
    again = Encoder.from_config(encoder.get_config())
    assert again.get_config() == encoder.get_config()
    ids = np.array([[2, 7, 3]])
    for found, expected in zip(arrays(again(ids)), arrays(encoder(ids)), strict=True):
        np.testing.assert_array_equal(found, expected)
    shutil.rmtree(tmp_path / "export")
    without = Encoder.from_config(encoder.get_config())
    assert all(np.isnan(weight).all() for weight in without.get_weights() if weight.dtype == np.float32)
    with pytest.raises(surgery.ModuleError, match="is not there, or another one is"):
        without(ids)


@pytest.mark.filterwarnings("ignore:Skipping nested container:UserWarning")  # Keras's own, as reading a file fails
@pytest.mark.parametrize("name", ["g4_bert_dropouts"])
def test_the_export_in_a_model_s_file_passes_the_gate(name, converted, tuned, tmp_path):
    encoder = Encoder(converted(name).export)
    for kind in ("hostile", "other", "link"):
        encoder.save_assets(str(tmp_path / kind))
        saved_model = saved_model_pb.read(tmp_path / kind / "saved_model.pb")
        graph = saved_model.meta_graphs[0].graph_def
        graph.node.add(name="planted", op="WriteFile" if kind == "hostile" else "NoOp")
        if kind != "link":
            (tmp_path / kind / "saved_model.pb").write_bytes(saved_model.SerializeToString())
    (tmp_path / "link" / "assets" / "vocab.txt").unlink()
    (tmp_path / "link" / "assets" / "vocab.txt").symlink_to("/etc/hostname")
    with pytest.raises(surgery.UntrustedError, match="planted"):
        encoder.load_assets(str(tmp_path / "hostile"))
    with pytest.raises(surgery.ModuleError, match="another export than its configuration says"):
        encoder.load_assets(str(tmp_path / "other"))
    with pytest.raises(surgery.ModuleError, match=r"vocab\.txt leads to"):
        encoder.load_assets(str(tmp_path / "link"))
    with pytest.raises(surgery.ModuleError, match="has no export"):
        encoder.load_assets(None)
    with ZipFile(tuned.folder / "tuned.keras") as file, ZipFile(tmp_path / "hostile.keras", "w") as changed:
        for entry in file.namelist():
            graph = tmp_path / "hostile" / "saved_model.pb"
            changed.writestr(entry, graph.read_bytes() if entry.endswith("saved_model.pb") else file.read(entry))
    with pytest.raises(ValueError, match=r"(?s)could do more than compute.*planted"):
        keras.saving.load_model(tmp_path / "hostile.keras")


@pytest.mark.parametrize("name", ["g4_bert_dropouts"])
@pytest.mark.usefixtures("short_battery")
def test_the_exported_model_is_served_and_its_encoder_converts_again(name, tuned, tmp_path):
    folder, inputs, expected = tuned.folder, tuned.inputs, tuned.predictions
    model = keras.saving.load_model(folder / "tuned.keras")
    model.export(tmp_path / "served", verbose=False)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        meta_graph = tf.compat.v1.saved_model.load(session, ["serve"], str(tmp_path / "served"))
        signature = meta_graph.signature_def["serving_default"]
        feeds = {signature.inputs[key].name: value for key, value in inputs.items()}
        np.testing.assert_allclose(session.run(signature.outputs["output_0"].name, feeds), expected, atol=1e-6)
    done = surgery.convert(tmp_path / "served", tmp_path / "converted" / "1")
    assert done.report.passed
    because = {dropped.variable.name: dropped.because for dropped in done.plan.weights.dropped}
    assert {"head/kernel", "head/bias"} <= because.keys()
    pooled = tf.saved_model.load(str(done.destination))({k: tf.constant(v) for k, v in inputs.items()})["pooled_output"]
    ours = Encoder(done.destination, outputs="pooled_output")(inputs)
    np.testing.assert_array_equal(ours, pooled)
    np.testing.assert_allclose(model.get_layer("bert")(inputs), pooled, atol=1e-6)


@pytest.mark.parametrize("name", ["g4_albert"])
def test_under_a_mixed_policy_the_encoder_computes_in_float32(name, converted):
    ids = np.array([[2, 1027, 3, 1]])
    whole, mixed = (Encoder(converted(name).export, dtype=dtype)(ids) for dtype in ("float32", "mixed_float16"))
    for half, single in zip(arrays(mixed), arrays(whole), strict=True):
        assert half.dtype == np.float16
        np.testing.assert_array_equal(half, single.astype(np.float16))


@pytest.mark.parametrize("name", ["g4_albert"])
def test_blocks_that_share_their_weights_are_trained_together(name, converted):
    with pytest.raises(surgery.UsageError, match="all 4 blocks share one set of weights"):
        Encoder(converted(name).export, train_blocks="-1")
    encoder = Encoder(converted(name).export, train_blocks=":")
    names = {weight.path.partition("/")[2] for weight in encoder.trainable_weights}
    assert {name.partition("/")[0] for name in names} == {"transformer", "pooler_transform"}


@pytest.mark.parametrize("name", ["g4_bert_dropouts"])
def test_what_is_wrong_is_said_with_what_to_do(name, converted, modules, monkeypatch):
    export = converted(name).export
    for make, kind, message in [
        (lambda: Encoder(modules(name)), surgery.ModuleError, "expected an export"),
        (lambda: Encoder(export, outputs="poled_output"), surgery.UsageError, "did you mean pooled_output"),
        (lambda: Encoder(export, outputs=["text=mean", "text=sum"]), surgery.UsageError, "text is there twice"),
        (lambda: Encoder(export, train_blocks="9"), surgery.UsageError, "train_blocks='9': there is no block 9"),
        (lambda: Encoder(export)(keras.Input((3,))), surgery.UsageError, "what to do: keras.Input is float32 unless"),
        (lambda: Encoder(export)(tf_keras.Input((3,), dtype="int32")), surgery.UsageError, "`import keras`"),
    ]:
        with pytest.raises(kind, match=re.escape(message)):
            make()
    with pytest.raises(surgery.UsageError, match=r"expected a layer of tf_keras, .* found one of Keras 3"):
        surgery.edit(modules(name), InsertLayer(0, keras.layers.Dense(16)))
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(surgery.UsageError, match="KERAS_BACKEND=tensorflow"):
        Encoder(export)


@pytest.mark.parametrize("name", ["g4_bert_dropouts"])
@pytest.mark.parametrize("first", ["import tensorflow as tf", "import surgery.keras"])
def test_tf_keras_is_not_needed_and_tf_keras_stays_keras_3(name, first, converted):
    code = f"""
import sys
{first}
import tensorflow as tf
from surgery.keras import Encoder
tokens = tf.keras.Input((5,), dtype="int32")
model = tf.keras.Model(tokens, Encoder({str(converted(name).export)!r}, outputs="pooled_output")(tokens))
print(tf.keras.__version__[0], model(tf.constant([[2, 3, 4, 5, 6]])).shape, "tf_keras" in sys.modules)
"""
    given = {name: value for name, value in environment().items() if name != "TF_USE_LEGACY_KERAS"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=given, check=False)
    assert done.stdout.startswith("3 (1, "), done.stderr
    assert done.stdout.endswith("False\n")
    assert "TF_USE_LEGACY_KERAS" in os.environ  # that of these tests, which import surgery.tf first
