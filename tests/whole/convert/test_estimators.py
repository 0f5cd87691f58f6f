"""A BERT in a plain TF1 SavedModel, as Estimators export classifiers: the encoder is cut out, its head can be kept."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import surgery
from surgery.export.manifest import MANIFEST
from surgery.jobs.opened import open_weights
from surgery.jobs.steps import judge, open_export, record
from surgery.planning.plan import make_plan
from surgery.planning.requests import Request
from surgery.proof.battery import make_battery
from surgery.scanning.gate import open_to_run
from tests.support.builders import estimators
from tests.support.conversions import Converted, few_batches
from tests.support.editing import edited
from tests.support.sample_names import ESTIMATORS
from tests.support.tampering import with_tensors

SAMPLE, *_ = ESTIMATORS
BUILT = {
    "estimator_square": {"head": "dense", "resources": True, "rows": 4},
    "estimator_scoped": {"head": "no_bias", "scope": "model/deep/", "training": True, "length": None},
    "estimator_albert": {"albert": True, "serialized": True, "mask_of_ids": True},
}
ASSUME = estimators.RATES


@pytest.fixture(scope="module")
def estimator(source, tmp_path_factory):
    """The folder of a classifier by name."""

    @cache
    def make(name):
        if name == SAMPLE:
            return source(SAMPLE)
        return estimators.build(tmp_path_factory.mktemp("estimators") / name, **BUILT[name])

    return make


@pytest.fixture(scope="module")
def kept(estimator, tmp_path_factory):
    """The export of a classifier by name, with its head."""

    @cache
    def make(name):
        export = tmp_path_factory.mktemp("kept") / name / "1"
        with few_batches():
            done = surgery.convert(estimator(name), export, assume=ASSUME, keep_head=True)
        return Converted(estimator(name), export, done)

    return make


def tokens(rows, length, vocab):
    random = np.random.default_rng(3)
    mask = np.arange(length)[None] < random.integers(2, length + 1, rows)[:, None]
    return {
        "input_word_ids": random.integers(1, vocab, (rows, length)).astype(np.int32) * mask,
        "input_mask": mask.astype(np.int32),
        "input_type_ids": random.integers(0, 2, (rows, length)).astype(np.int32),
    }


def served(folder, feeds):
    """What the source's own signature answers, in a session of TensorFlow 1."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        signature = tf.compat.v1.saved_model.load(session, ["serve"], str(folder)).signature_def["serving_default"]
        outputs = {key: info.name for key, info in signature.outputs.items()}
        return session.run(outputs, {signature.inputs[key].name: value for key, value in feeds.items()})


@pytest.mark.parametrize(
    ("name", "rows", "length"),
    [(SAMPLE, 3, 32), ("estimator_square", 4, 12), ("estimator_scoped", 2, 7), ("estimator_albert", 2, 12)],
)
def test_the_head_that_is_kept_answers_what_the_source_s_signature_answers(name, rows, length, estimator, kept):
    batch = tokens(rows, length, estimators.VOCAB)
    feeds = dict(zip(("input_ids", "input_mask", "segment_ids"), batch.values(), strict=True))
    if name == "estimator_albert":
        feeds = {"examples": [serialized({key: value[row] for key, value in feeds.items()}) for row in range(rows)]}
    expected = served(estimator(name), feeds)
    found = tf.saved_model.load(str(kept(name).export)).signatures["classifier"](**batch)
    floats = {key: value for key, value in expected.items() if value.dtype == np.float32}
    assert floats
    assert floats.keys() <= found.keys()
    for key, value in floats.items():
        np.testing.assert_allclose(found[key], value, atol=1e-6)


def serialized(features):
    feature = {k: tf.train.Feature(int64_list=tf.train.Int64List(value=value)) for k, value in features.items()}
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_tensor_of_the_encoder_is_compared_inside_the_graph(name, kept):
    report, plan = kept(name).conversion.report, kept(name).conversion.plan
    blocks = [f"encoder_outputs_{number}" for number in range(plan.architecture.blocks)]
    assert {"embedding_output", *blocks, "sequence_output", "pooled_output"} <= set(report.inner)
    assert max(diff.difference for diff in report.outputs) < 1e-13
    assert {f"classifier.{key}" for key in plan.signatures["classifier"]} <= {diff.name for diff in report.outputs}


def test_the_battery_keeps_to_the_shapes_that_the_graph_takes(kept):
    for name, shape in ((SAMPLE, (None, 32)), ("estimator_square", (4, 12)), ("estimator_scoped", (None, None))):
        call = kept(name).conversion.plan.inference.convention
        assert (call.rows, call.length) == shape
    assert "which takes 4 rows and 12 tokens only" in kept("estimator_square").conversion.report.reference


def test_the_head_is_data_in_the_manifest_and_its_weights_are_accounted_for(kept):
    manifest = json.loads((kept("estimator_square").export / MANIFEST).read_text())
    assert manifest["head"] == {
        "kind": "dense",
        "on": "pooled_output",
        "labels": 32,
        "kernel": "loss/project/kernel",
        "stored": "hidden labels",
        "bias": "loss/project/bias",
        "hidden": None,
        "outputs": {"each": "sigmoid", "log": "log_softmax", "scores": "linear"},
        "others": [],
        "names": None,
        "problem": None,
        "dropout": None,
    }
    targets = {a["variable"]: a["target"] for a in manifest["assignments"]}
    assert (targets["loss/project/kernel"], targets["loss/project/bias"]) == ("classifier/kernel", "classifier/bias")
    loaded = tf.saved_model.load(str(kept("estimator_square").export))
    assert [v.name for v in loaded.classifier.trainable_variables] == ["classifier/kernel:0", "classifier/bias:0"]
    assert not any("classifier" in variable.name for variable in loaded.variables)


def test_what_training_left_in_the_graph_is_listed_as_no_part_of_the_encoder(kept):
    because = {d.variable.name: d.because for d in kept("estimator_scoped").conversion.plan.weights.dropped}
    assert "slot of the optimiser" in because["model/deep/bert/pooler/dense/kernel/adam_m"]
    assert "slot of the optimiser" in because["output_weights/adam_v"]
    assert "counter of the optimiser" in because["global_step"]
    assert "output_weights" not in because


def test_an_export_with_a_head_is_verified_and_converted_again_with_it(kept, tmp_path):
    found = surgery.verify(kept("estimator_scoped").source, kept("estimator_scoped").export, assume=ASSUME)
    assert found.passed
    assert "classifier.logits" in {diff.name for diff in found.report.outputs}
    with few_batches():
        again = surgery.convert(kept("estimator_scoped").export, tmp_path / "2", keep_head=True)
    assert again.report.passed
    assert again.plan.signatures["classifier"] == ("logits",)
    dropped = {d.variable.name: d.because for d in surgery.plan(kept("estimator_scoped").export).weights.dropped}
    assert dropped == {"classifier/kernel": "the head that an export keeps is no part of its encoder"}


def test_a_manifest_that_says_something_else_of_the_head_is_named(kept, tmp_path):
    shutil.copytree(kept("estimator_scoped").export, tmp_path / "copy")
    path = tmp_path / "copy" / MANIFEST
    manifest = json.loads(path.read_text())
    manifest["head"]["outputs"] = {"logits": "softmax"}
    path.write_text(json.dumps(manifest))
    found = surgery.verify(kept("estimator_scoped").source, tmp_path / "copy", assume=ASSUME)
    assert not found.passed
    assert any("head.outputs.logits says 'softmax', expected 'linear'" in line for line in found.report.contract)


@pytest.fixture(scope="module")
def recorded(estimator):
    """The recording of the classifier whose kernel is square, for `judge` to hold against its mutated exports."""
    with open_to_run(str(estimator("estimator_square")), trust=False) as module:
        return record(open_weights(make_plan(module, Path(), ASSUME, Request(keep_head=True)), make_battery))


def nudged(name):
    """The export with one value of a weight changed to the next float32."""

    def change(value):
        value.flat[0] = np.nextafter(value.flat[0], np.float32(9))
        return value

    return lambda export, folder: with_tensors(export, folder, {name: change})


def in_head(op, change):
    """The export with `change` applied to the operation of this type in the head's own function."""

    def edit(saved_model):
        (found,) = (
            node
            for function in saved_model.meta_graphs[0].graph_def.library.function
            if any(node.op == "LogSoftmax" for node in function.node_def)
            for node in function.node_def
            if node.op == op
        )
        change(found)

    return lambda export, folder: edited(export, folder, edit)


def other_axis(product):
    product.attr["transpose_b"].b = not product.attr["transpose_b"].b


def no_bias(total):
    total.op = "Identity"
    del total.input[1:]


def as_if(op):
    def change(node):
        node.op = op

    return change


MUTATIONS = {
    "a kernel": (nudged("classifier/kernel"), {"classifier/kernel"}, "classifier.each"),
    "a bias": (nudged("classifier/bias"), {"classifier/bias"}, "classifier.each"),
    "the wrong axis": (in_head("MatMul", other_axis), set(), "classifier.each"),
    "no bias": (in_head("BiasAdd", no_bias), set(), "classifier.each"),
    "an activation": (in_head("Sigmoid", as_if("Tanh")), set(), "classifier.each"),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_wrong_head_is_caught_where_it_is_wrong(name, kept, recorded, tmp_path):
    mutate, weights, first = MUTATIONS[name]
    mutate(kept("estimator_square").export, tmp_path / "mutated")
    report = judge(recorded, open_export(tmp_path / "mutated"))
    assert report.first_divergence.name == first
    assert {line.partition(":")[0] for line in report.weights.mismatches} == weights
    assert all(diff.passed for diff in report.outputs if not diff.name.startswith("classifier."))
