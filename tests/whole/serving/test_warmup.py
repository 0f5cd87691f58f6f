"""Warm-up requests: what TensorFlow Serving reads, read back and replayed before it is kept."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec

import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

import surgery
import surgery.tfserving.served
from surgery.tf import warmup
from surgery.tfserving.served import WARMUP
from surgery.tfserving.text_operations import text_operations
from tests.support.running import environment
from tests.support.running import surgery as run_surgery

pytestmark = pytest.mark.usefixtures("short_battery")

NAME = "g3_small"
POSITIONS = 96


@pytest.fixture
def export(converted, tmp_path):
    """An export of its own, as version 3 of `bert`."""
    return shutil.copytree(converted(NAME).export, tmp_path / "bert" / "3")


def records(folder):
    raw = tf.data.TFRecordDataset(str(folder / WARMUP)).as_numpy_iterator()
    return [prediction_log_pb2.PredictionLog.FromString(record).predict_log.request for record in raw]


def left_in(folder):
    return sorted(path.name for path in (folder / WARMUP).parent.iterdir())


def test_each_signature_gets_a_short_a_middling_and_the_longest_row(export):
    done = surgery.serving(export, warmup=True)
    asked = records(export)
    assert [request.signature for request in done.warmup.requests] == [r.model_spec.signature_name for r in asked]
    assert {request.model_spec.name for request in asked} == {"bert"}
    for request in asked:
        arrays = {key: tf.make_ndarray(tensor) for key, tensor in request.inputs.items()}
        assert {array.dtype.name for array in arrays.values()} == {"int32"}
        assert arrays["input_mask"].min() == 1
        assert 0 < arrays["input_word_ids"].min() <= arrays["input_word_ids"].max() < 10
    shapes = [tuple(tf.make_ndarray(request.inputs["input_mask"]).shape) for request in asked]
    assert shapes == [(1, 8), (1, POSITIONS // 2), (1, POSITIONS)]
    assert left_in(export) == ["surgery.json", WARMUP.name]
    assert done.served.warmup_bytes == (export / WARMUP).stat().st_size


def test_the_described_batch_is_warmed_as_well_and_named_signatures_only(source, tmp_path):
    done = surgery.convert(source(NAME), tmp_path / "bert" / "1", depths=[1, 2], features=["mean=mean@-1/mean"])
    surgery.serving(done.destination, signatures=["depth_1", "mean"], batch=5, length=20, warmup=True)
    asked = records(done.destination)
    assert [request.model_spec.signature_name for request in asked] == ["depth_1"] * 4 + ["mean"] * 4
    assert tf.make_ndarray(asked[3].inputs["input_mask"]).shape == (5, 20)


def test_verify_passes_with_warm_up_requests_in_the_export(export, source):
    surgery.serving(export, warmup=True)
    assert surgery.verify(source(NAME), export).report.passed


def test_requests_that_are_there_are_replaced_when_told_so_only(export):
    surgery.serving(export, warmup=True)
    before = (export / WARMUP).read_bytes()
    with pytest.raises(surgery.UsageError, match="exists already") as caught:
        surgery.serving(export, warmup=True, batch=2)
    assert "overwrite=True" in str(caught.value)
    assert (export / WARMUP).read_bytes() == before
    surgery.serving(export, warmup=True, batch=2, overwrite=True)
    assert len(records(export)) == 4
    assert left_in(export) == ["surgery.json", WARMUP.name]


def test_a_request_that_the_export_refuses_leaves_no_file(export, monkeypatch):
    """Rows beyond the encoder's positions, as of an encoder whose positions nobody knows."""
    monkeypatch.setattr(surgery.tfserving.served, "longest_row", lambda folder, module: None)
    with pytest.raises(surgery.ModuleError, match=r"request 2 of 3 \(signature serving_default, 1 x 256\)") as caught:
        surgery.serving(export, warmup=True)
    assert str(caught.value).count("what to do") == 1
    assert left_in(export) == ["surgery.json"]


@pytest.mark.parametrize("damage", ["cut", "fewer", "changed"])
def test_records_that_do_not_read_back_leave_the_file_that_was_there(damage, export, monkeypatch):
    surgery.serving(export, warmup=True)
    before = (export / WARMUP).read_bytes()
    right = warmup.write_logs

    def wrong(logs, path):
        right(logs[:-1] if damage == "fewer" else logs[::-1] if damage == "changed" else logs, path)
        if damage == "cut":
            path.write_bytes(path.read_bytes()[:-7])

    monkeypatch.setattr(warmup, "write_logs", wrong)
    with pytest.raises(surgery.WriteError, match="back"):
        surgery.serving(export, warmup=True, overwrite=True)
    assert (export / WARMUP).read_bytes() == before
    assert left_in(export) == ["surgery.json", WARMUP.name]


def test_more_requests_than_the_server_reads_are_refused_before_tensorflow(export, monkeypatch):
    monkeypatch.setattr("surgery.tfserving.requests.MOST_RECORDS", 2)
    steps = []
    with pytest.raises(surgery.UsageError, match="3 requests, expected at most 2"):
        surgery.serving(export, warmup=True, progress=lambda step, *_: steps.append(step))
    assert steps == []


def test_without_the_extra_the_way_to_get_it_is_told_and_the_rest_still_works(export, source, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "surgery.tfserving.extra.find_spec",
        lambda name: None if name == "tensorflow_serving" else find_spec(name),
    )
    steps = []
    for attempt in (
        lambda progress: surgery.serving(export, warmup=True, progress=progress),
        lambda progress: surgery.convert(source(NAME), tmp_path / "out" / "1", warmup=True, progress=progress),
    ):
        with pytest.raises(surgery.UsageError, match=r"pip install 'hub-surgery\[serving\]'"):
            attempt(lambda step, *_: steps.append(step))
    assert steps == []
    surgery.serving(export, output=tmp_path / "files")
    assert (tmp_path / "files" / "models.config").is_file()


def test_convert_warms_up_both_exports_before_they_are_published(source, tmp_path):
    done = surgery.convert(source(NAME), tmp_path / "bert" / "2", text=True, seq_length=40, warmup=True)
    assert done.warmups == {done.destination: 3, done.text_destination: 9}
    assert {request.model_spec.name for request in records(done.destination)} == {"bert"}
    texts = records(done.text_destination)
    assert {request.model_spec.name for request in texts} == {"bert_text"}
    assert {request.model_spec.signature_name for request in texts} == {"serving_default", "text", "text_pair"}
    words = [len(tf.make_ndarray(request.inputs["text"])[0].split()) for request in texts]
    assert words == [8, 20, 40] * 3  # the longest is what the export cuts texts at


@pytest.mark.usefixtures("uncompared_texts")
def test_an_export_whose_warm_up_fails_is_not_published(source, tmp_path, monkeypatch):
    def refuse(*args, **options):
        raise surgery.ModuleError("replaying the warm-up")

    monkeypatch.setattr(warmup, "replay_logs", refuse)
    with pytest.raises(surgery.ModuleError, match="replaying the warm-up"):
        surgery.convert(source(NAME), tmp_path / "bert" / "2", text=True, warmup=True)
    assert list(tmp_path.iterdir()) == []


def test_the_command_warms_up_a_text_export_in_a_process_of_its_own(text_exports, tmp_path):
    export = shutil.copytree(text_exports(NAME)[1], tmp_path / "bert_text" / "1")
    ran = run_surgery("serving", export, "--warmup", "--signature", "text", "--json")
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    data = json.loads(ran.stdout)["warmup"]
    assert data["requests"] == [{"signature": "text", "size": size} for size in ("1 x 8", "1 x 12", "1 x 24")]
    assert data["bytes"] == (export / WARMUP).stat().st_size
    again = run_surgery("serving", export, "--warmup")
    assert again.returncode == 2
    assert again.stdout == ""
    assert "exists already" in again.stderr


CODE = """
import surgery.tf, tensorflow as tf
from tensorflow.core.framework import op_def_pb2
from tensorflow.python.client import pywrap_tf_session as session

def registered():
    listed = op_def_pb2.OpList.FromString(session.TF_GetBuffer(session.TF_GetAllOpList()))
    return {operation.name for operation in listed.op}

before = registered()
import tensorflow_text
print(*sorted(registered() - before))
"""


def test_the_operations_of_tensorflow_text_are_known_by_name():
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, env=environment(), check=True, timeout=120
    )
    kinds = done.stdout.split()
    graph = tf.compat.v1.GraphDef()
    for kind in [*kinds, "MatMul", "StringSplit"]:
        graph.node.add(name=kind, op=kind)
    assert len(kinds) > 30
    assert list(text_operations(graph)) == kinds
