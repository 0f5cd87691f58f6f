"""What `surgery serving` prints works as printed, and costs what it says: against the server's services on loopback."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2
from tensorflow_serving.apis import model_pb2, predict_pb2, prediction_service_pb2_grpc

import surgery
from surgery.scanning.gate import clear_folder
from surgery.tf.session import SavedModelSession
from surgery.tfserving.reply_size import LIMIT, VARYING, tensor_bytes
from tests.support.loopback import decimal, reply_json, response, serving
from tests.support.running import environment

NAME = "g3_small"


@pytest.fixture(scope="module")
def exports(text_exports):
    """The tensor export and the text export of the sample, as versions of `bert` and `bert_text`."""
    return text_exports(NAME)


@pytest.fixture(scope="module")
def running(exports):
    """The tensor export, served."""
    with serving(exports[0], "bert", 7) as loopback:
        yield loopback


def example(found):
    """The printed request: signature and inputs."""
    return json.loads(re.search(r"-d '(.*)' http", found.curl).group(1))


def local(export, found):
    """What the printed request is answered with, from the SavedModel itself."""
    asked = example(found)
    dtypes = {t.key: object if t.dtype == "string" else t.dtype for t in found.served.first.signature.inputs}
    with SavedModelSession(clear_folder(export), ["serve"]) as session:
        inputs = {key: np.array(value, dtypes[key]) for key, value in asked["inputs"].items()}
        return session.signature(asked["signature_name"])(inputs)


BARE = """
import runpy, sys
from importlib.abc import MetaPathFinder

class Refused(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("tensorflow", "tensorflow_serving", "numpy", "surgery"):
            raise ImportError(f"{name} is not installed")

sys.meta_path.insert(0, Refused())
sys.argv[:] = ["client.py", *sys.argv[1:]]
runpy.run_path("client.py", run_name="__main__")
"""
"""Runs the client where grpcio and protobuf are all that is installed."""


def run_client(text, tmp_path, *arguments):
    (tmp_path / "client.py").write_text(text, encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-c", BARE, *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
        timeout=120,
    )


def answers_of_client(text, tmp_path, *arguments):
    """Runs a printed client: dtype, shape and first numbers by output."""
    done = run_client(text, tmp_path, *arguments)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = (re.fullmatch(r"(\S+) (\S+) (\[.*?\]) (\[.*\]) \.\.\.", line).groups() for line in done.stdout.splitlines())
    return {key: (dtype, json.loads(shape), json.loads(first)) for key, dtype, shape, first in lines}


def answers_of_curl(command, rest):
    """Runs a printed curl line: arrays by output."""
    printed = "http://localhost:8501"
    assert printed in command
    done = subprocess.run(
        command.replace(printed, rest), shell=True, capture_output=True, text=True, check=True, timeout=60
    )
    return {key: np.array(value) for key, value in json.loads(done.stdout)["outputs"].items()}


def check_client(answers, expected):
    assert set(answers) == set(expected)
    for key, (dtype, shape, first) in answers.items():
        assert (dtype, tuple(shape)) == (expected[key].dtype.name, expected[key].shape)
        np.testing.assert_array_equal(np.array(first, expected[key].dtype), expected[key].ravel()[:3])


def check_curl(answers, expected):
    assert set(answers) == set(expected)
    for key, array in answers.items():
        np.testing.assert_array_equal(array.astype(expected[key].dtype), expected[key])


@pytest.mark.parametrize("signature", ["serving_default", "depth_2"])
def test_the_printed_client_returns_what_the_model_returns(signature, exports, running, tmp_path):
    found = surgery.serving(exports[0], signatures=[signature])
    check_client(answers_of_client(found.files["client.py"], tmp_path, running.grpc), local(exports[0], found))


def test_the_client_and_the_curl_line_ask_for_a_label(exports, running, tmp_path):
    found = surgery.serving(exports[0], labels={"stable": int(exports[0].name)})
    expected = local(exports[0], found)
    assert "LABEL = 'stable'" in found.files["client.py"]
    check_client(answers_of_client(found.files["client.py"], tmp_path, running.grpc), expected)
    refused = run_client(found.files["client.py"], tmp_path, running.grpc, "canary")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == "INVALID_ARGUMENT: Unrecognized servable version label: canary\n"
    if shutil.which("curl"):
        check_curl(answers_of_curl(found.curl_by_label["stable"], running.rest), expected)


@pytest.fixture(scope="module")
def program(exports):
    """The names of the printed client's module."""
    found = {"__name__": "client"}
    exec(surgery.serving(exports[0]).files["client.py"], found)
    return found


def test_the_messages_of_the_client_are_the_servers(program):
    real = {
        "Dim": tensor_shape_pb2.TensorShapeProto.Dim,
        "Shape": tensor_shape_pb2.TensorShapeProto,
        "Tensor": tensor_pb2.TensorProto,
        "ModelSpec": model_pb2.ModelSpec,
        "Request": predict_pb2.PredictRequest,
        "Reply": predict_pb2.PredictResponse,
    }
    assert program["METHOD"] == "/tensorflow.serving.PredictionService/Predict"
    for name, message in real.items():
        for field, (number, kind) in program["MESSAGES"][name].items():
            theirs = message.DESCRIPTOR.fields_by_name[field]
            ours = program["CLASSES"][name].DESCRIPTOR.fields_by_name[field]
            assert (theirs.number, theirs.is_repeated) == (number, ours.is_repeated)
            assert theirs.type == ours.type or (kind, theirs.enum_type.name) == ("int32", "DataType")


def real_reply(array, content):
    """The bytes of a reply of the real server with one array, in the field of its dtype or as raw bytes."""
    reply = predict_pb2.PredictResponse()
    if content:
        reply.outputs["x"].CopyFrom(tf.make_tensor_proto(array))
        return reply.SerializeToString()
    tensor = reply.outputs["x"]
    tensor.dtype = tf.as_dtype(array.dtype).as_datatype_enum
    for size in array.shape:
        tensor.tensor_shape.dim.add(size=size)
    special = {"float32": "float_val", "float64": "double_val", "int64": "int64_val", "bool": "bool_val"}
    special |= {"uint32": "uint32_val", "uint64": "uint64_val", "object": "string_val"}
    if array.dtype.name in ("float16", "bfloat16"):
        tensor.half_val.extend(array.view(np.uint16).ravel().tolist())
    else:
        getattr(tensor, special.get(array.dtype.name, "int_val")).extend(array.ravel().tolist())
    return reply.SerializeToString()


def dtypes_of_client(program):
    return [dtype for dtype in program["DTYPES"] if dtype != "string"]


def test_every_dtype_goes_to_the_server_and_comes_back_in_both_forms(program):
    assert {tf.as_dtype(dtype).as_datatype_enum for dtype in program["DTYPES"]} == {
        number for number, _, _ in program["DTYPES"].values()
    }
    for dtype in dtypes_of_client(program):
        kind = tf.as_dtype(dtype).as_numpy_dtype
        array = np.array([[1, 0, 1], [0.5, 3, -2]] if "float" in dtype else [[1, 0, 1], [0, 1, 1]]).astype(kind)
        request = program["CLASSES"]["Request"]()
        program["write"](request.inputs["x"], dtype, array.tolist())
        sent = predict_pb2.PredictRequest.FromString(request.SerializeToString())
        np.testing.assert_array_equal(tf.make_ndarray(sent.inputs["x"]), array, strict=True)
        for content in (False, True):
            reply = program["CLASSES"]["Reply"].FromString(real_reply(array, content))
            found = program["read"](reply.outputs["x"])
            assert (found.dtype, found.shape) == (dtype, [2, 3])
            np.testing.assert_array_equal(np.array(found.values, kind), array.ravel())


def test_texts_scalars_empty_and_shortened_tensors_are_read(program):
    write, read, classes = program["write"], program["read"], program["CLASSES"]
    request = classes["Request"]()
    write(request.inputs["text"], "string", [["é", b"\xff"]])
    write(request.inputs["flag"], "bool", True)
    sent = predict_pb2.PredictRequest.FromString(request.SerializeToString())
    assert tf.make_ndarray(sent.inputs["text"]).tolist() == [["é".encode(), b"\xff"]]
    assert tf.make_ndarray(sent.inputs["flag"]).tolist() is True
    assert read(request.inputs["flag"]) == ("bool", [], [True])
    short = tensor_pb2.TensorProto(dtype=1, float_val=[1.0, 2.0])
    short.tensor_shape.dim.add(size=4)
    assert read(classes["Tensor"].FromString(short.SerializeToString())).values == [1.0, 2.0, 2.0, 2.0]
    none = tf.make_tensor_proto(np.zeros((0, 3), np.float32))
    assert read(classes["Tensor"].FromString(none.SerializeToString())) == ("float32", [0, 3], [])


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize("signature", ["serving_default", "depth_2"])
def test_the_printed_curl_line_returns_what_the_model_returns(signature, exports, running):
    found = surgery.serving(exports[0], signatures=[signature])
    check_curl(answers_of_curl(found.curl, running.rest), local(exports[0], found))


@pytest.mark.parametrize("signature", ["text", "text_pair"])
def test_texts_are_sent_as_printed(signature, exports, tmp_path):
    found = surgery.serving(exports[1], signatures=[signature])
    expected = local(exports[1], found)
    with serving(exports[1], "bert_text", 7) as loopback:
        check_client(answers_of_client(found.files["client.py"], tmp_path, loopback.grpc), expected)
        if shutil.which("curl"):
            check_curl(answers_of_curl(found.curl, loopback.rest), expected)


def ask(address, batch, length, wanted=(), options=()):
    request = predict_pb2.PredictRequest(output_filter=wanted)
    request.model_spec.name = "bert"
    for key in ("input_word_ids", "input_mask", "input_type_ids"):
        value = np.zeros((batch, length), np.int32) if "type" in key else np.ones((batch, length), np.int32)
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    with grpc.insecure_channel(address, options=list(options)) as channel:
        return prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=60)


@pytest.mark.parametrize(("batch", "length"), [(1, 1), (3, 17), (40, 96)])
def test_a_reply_has_the_bytes_that_are_told(batch, length, exports, running):
    reply = surgery.serving(exports[0], batch=batch, length=length).served.first.reply
    received = ask(running.grpc, batch, length, options=[("grpc.max_receive_message_length", -1)])
    assert reply.exact
    assert reply.total == received.ByteSize()
    assert reply.outputs == {key: tensor.ByteSize() for key, tensor in received.outputs.items()}


def test_the_largest_batch_is_the_last_that_grpc_takes_by_default(exports, running):
    served = surgery.serving(exports[0], batch=64, length=96)
    most = served.served.first.reply.largest_batch
    assert not served.served.first.reply.fits
    assert ask(running.grpc, most, 96).ByteSize() <= LIMIT
    with pytest.raises(grpc.RpcError) as caught:
        ask(running.grpc, most + 1, 96)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    # What it advises: fewer outputs, or the limit of the printed client.
    assert set(ask(running.grpc, most + 1, 96, wanted=["pooled_output"]).outputs) == {"pooled_output"}
    receive = eval(re.search(r"^RECEIVE = (.*)$", served.files["client.py"], re.MULTILINE).group(1))
    ask(running.grpc, 64, 96, options=[("grpc.max_receive_message_length", receive)])


@pytest.mark.parametrize("dtype", sorted(VARYING))
def test_no_value_that_is_not_negative_takes_more_than_is_counted(dtype):
    kind = tf.as_dtype(dtype)
    tensor = tensor_pb2.TensorProto(dtype=kind.as_datatype_enum)
    tensor.tensor_shape.dim.add(size=3)
    field = {"int64": "int64_val", "uint32": "uint32_val", "uint64": "uint64_val"}.get(dtype, "int_val")
    most = np.array(kind.max, kind.as_numpy_dtype)
    if "float" in dtype:
        field, most = "half_val", most.view(np.uint16)
    getattr(tensor, field).extend([int(most)] * 3)
    assert tensor_bytes(dtype, (3,)) == tensor.ByteSize()


def test_integers_are_bounded_and_floats_still_make_most_of_a_reply(exports):
    found = surgery.serving(exports[1], signatures=["text"], batch=4, length=24)
    with SavedModelSession(clear_folder(exports[1]), ["serve"]) as session:
        arrays = session.signature("text")({"text": np.array([b"word " * 40] * 4, object)})
    real = response(arrays, "bert_text", 7, "text").ByteSize()
    told = found.served.first.reply
    assert arrays["input_mask"].shape == (4, 24)  # where the export cuts texts
    assert not told.exact
    assert real <= told.total <= 1.02 * real


def test_a_rest_reply_has_about_the_bytes_that_are_told(exports):
    found = surgery.serving(exports[0], batch=3, length=20)
    random = np.random.default_rng(1)
    with SavedModelSession(clear_folder(exports[0]), ["serve"]) as session:
        inputs = {k: np.ones((3, 20), np.int32) for k in ("input_mask", "input_type_ids", "input_word_ids")}
        inputs["input_word_ids"] = random.integers(1, 1000, (3, 20)).astype(np.int32)
        arrays = session.signature("serving_default")(inputs)
    reply = found.served.first.reply
    assert reply.columns == pytest.approx(len(reply_json(arrays, rows=False)), rel=0.05)
    assert reply.rows == pytest.approx(len(reply_json(arrays, rows=True)), rel=0.1)
    assert reply.columns > 2 * reply.rows


@pytest.mark.parametrize(("value", "text"), [(0.5, "0.5"), (2.0, "2.0"), (1 / 3, "0.333333343"), (3e-5, "3e-05")])
def test_the_stand_in_writes_floats_as_the_server_does(value, text):
    assert decimal(np.float32(value)) == text


def test_padding_with_a_tensors_first_value_would_change_the_numbers_and_repeated_rows_do_not(exports):
    """Why the batching parameters say allowed_batch_sizes, and never pad_variable_length_inputs."""
    ids = np.array([[2, 17, 40, 3]], np.int32)
    row = {"input_word_ids": ids, "input_mask": np.ones_like(ids), "input_type_ids": np.zeros_like(ids)}

    def padded(first_value):
        return {k: np.pad(v, ((0, 0), (0, 4)), constant_values=v.flat[0] if first_value else 0) for k, v in row.items()}

    with SavedModelSession(clear_folder(exports[0]), ["serve"]) as session:
        run = session.signature("serving_default")
        alone = run(row)["pooled_output"]
        np.testing.assert_allclose(run(padded(False))["pooled_output"], alone, atol=1e-5)
        repeated = run({key: np.repeat(value, 4, axis=0) for key, value in row.items()})["pooled_output"]
        np.testing.assert_allclose(repeated[:1], alone, atol=1e-5)
        assert np.abs(run(padded(True))["pooled_output"] - alone).max() > 1e-2
