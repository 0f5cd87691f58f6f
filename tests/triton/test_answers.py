"""scripts/serve-triton: a real Triton on loopback, 32 clients at a time, every answer compared with the local model."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_text  # noqa: F401  registers the operations of the text export

from tests.triton.serving import ROOT, as_json, assert_same, token_inputs

CLIENTS = 32
REQUESTS = 6  # a client
MEBIBYTE = 2**20


@pytest.fixture(scope="module")
def tokens_server(start, export):
    return start(export, "--signature", "serving_default", "--signature", "taps", "--delay-us", "4000")


@pytest.fixture(scope="module")
def texts_server(start, export):
    return start(export.parents[1] / "bert_text", "--name", "texts", "--delay-us", "4000")


def test_every_answer_to_32_clients_is_the_local_models(tokens_server, local, tmp_path):
    random = np.random.default_rng(11)
    signatures = {"bert": "serving_default", "bert.taps": "taps"}
    requests = []
    for client in range(CLIENTS):
        for turn in range(REQUESTS):
            model = "bert.taps" if turn == REQUESTS - 1 else "bert"
            names = sorted(local_outputs(local, signatures[model]))
            some = [str(name) for name in random.choice(names, 2, replace=False)]
            requests.append(
                {
                    "client": client,
                    "protocol": ("http", "grpc")[client % 2],
                    "model": model,
                    "outputs": some if random.random() < 0.6 else None,
                    "inputs": token_inputs(random, int(random.integers(1, 5)), int(random.integers(1, 61))),
                }
            )
    before = tokens_server.counted("bert")
    answers = tokens_server.send(requests, tmp_path)
    for number, (request, answer) in enumerate(zip(requests, answers, strict=True)):
        expected = local(signatures[request["model"]], request["inputs"])
        assert set(answer) == set(request["outputs"] or expected), f"request {number}: {answer.get('error')}"
        for key, value in answer.items():
            assert_same(value, expected[key], f"request {number} over {request['protocol']}: {key}")
    assert "bert: requests of similar lengths share a run, padded to the longest" in tokens_server.said.read_text()
    after = tokens_server.counted("bert")
    made = {what: after[what] - before[what] for what in after}
    mine = [request for request in requests if request["model"] == "bert"]
    assert made["requests"] == len(mine) == CLIENTS * (REQUESTS - 1)
    assert made["rows"] == sum(len(request["inputs"]["input_mask"]) for request in mine)
    lengths = {request["inputs"]["input_mask"].shape for request in mine}
    assert made["runs"] < 0.7 * made["requests"], "requests that wait together must share runs"
    assert len(lengths) > made["requests"] / 4, "and not for being of one shape"


def local_outputs(local, signature, cache={}):  # noqa: B006  one small run a signature, for its names
    if signature not in cache:
        cache[signature] = set(local(signature, token_inputs(np.random.default_rng(0), 1, 2)))
    return cache[signature]


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_reply_over_four_mebibytes_arrives_whole(protocol, tokens_server, local, tmp_path):
    inputs = token_inputs(np.random.default_rng(3), 8, 90)
    (answer,) = tokens_server.send(
        [{"client": 0, "protocol": protocol, "model": "bert.taps", "outputs": None, "inputs": inputs}], tmp_path
    )
    assert sum(value.nbytes for value in answer.values()) > 4 * MEBIBYTE
    expected = local("taps", inputs)
    assert set(answer) == set(expected)
    for key, value in answer.items():
        assert_same(value, expected[key], key)


def made_up_text(random):
    return b" ".join(random.choice([b"a", b"b", b"times"], random.integers(0, 30)))


def test_texts_of_mixed_lengths_get_the_answers_of_the_local_model(texts_server, export, tmp_path):
    text_model = tf.saved_model.load(str(export.parents[1] / "bert_text" / "7")).signatures["text"]
    random = np.random.default_rng(4)
    requests = [
        {
            "client": client,
            "protocol": ("http", "grpc")[client % 2],
            "model": "texts",
            "outputs": None if client % 3 else ["sequence_output"],
            "inputs": {
                "text": np.array(
                    [
                        [b" ".join(random.choice([b"a", b"b", b"times"], random.integers(0, 30)))]
                        for _ in range(1 + client % 3)
                    ]
                )
            },
        }
        for client in range(CLIENTS)
    ]
    answers = texts_server.send(requests, tmp_path)
    lengths = set()
    for number, (request, answer) in enumerate(zip(requests, answers, strict=True)):
        expected = text_model(text=tf.constant(request["inputs"]["text"][:, 0].astype(object)))
        assert set(answer) == set(request["outputs"] or expected), f"request {number}: {answer.get('error')}"
        for key, value in answer.items():
            assert_same(value, expected[key].numpy(), f"request {number}: {key}")
        lengths.add(answer["sequence_output"].shape[1])
    assert len(lengths) > 5
    assert texts_server.counted("texts")["runs"] < CLIENTS


def test_a_text_is_answered_over_plain_http(texts_server, export):
    text_model = tf.saved_model.load(str(export.parents[1] / "bert_text" / "7")).signatures["text"]
    texts = ["a b c", "\u00e4 times"]
    body = {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [2, 1], "data": texts}]}
    status, answer = texts_server.post("texts", body)
    assert status == 200
    expected = text_model(text=tf.constant(texts))
    assert {output["name"] for output in answer["outputs"]} == set(expected)
    for output in answer["outputs"]:
        found = np.array(output["data"], expected[output["name"]].dtype.as_numpy_dtype).reshape(output["shape"])
        assert_same(found, expected[output["name"]].numpy(), output["name"])


def test_the_request_in_the_docs_gets_the_answer_in_the_docs(texts_server):
    page = (ROOT / "docs" / "triton.md").read_text(encoding="utf-8")
    body, said = re.search(r"/infer -d '(.*?)' \| jq -c .*?\n(.*?)\n\$ ", page, re.DOTALL).groups()
    _, answer = texts_server.post("texts", json.loads(body))
    lines = [json.loads(line) for line in said.splitlines()]
    assert [name for name, _, _ in lines] == [output["name"] for output in answer["outputs"]]
    for output, (_, shape, beginning) in zip(answer["outputs"], lines, strict=True):
        assert output["shape"] == shape
        assert output["data"][:3] == pytest.approx(beginning, abs=1e-5)


def made_up(rows, length):
    return as_json(token_inputs(np.random.default_rng(7), rows, length))


def test_only_what_is_asked_for_comes_back(tokens_server):
    inputs = made_up(2, 20)
    _, everything = tokens_server.post("bert", {"inputs": inputs})
    status, one = tokens_server.post("bert", {"inputs": inputs, "outputs": [{"name": "pooled_output"}]})
    assert status == 200
    assert [output["name"] for output in one["outputs"]] == ["pooled_output"]
    assert len(everything["outputs"]) == 7
    assert len(json.dumps(one)) < len(json.dumps(everything)) / 50


def test_a_request_that_the_model_refuses_spoils_no_other(tokens_server, local, tmp_path):
    random = np.random.default_rng(6)
    requests = [
        {
            "client": client,
            "protocol": ("http", "grpc")[client % 2],
            "model": "bert",
            "outputs": ["sequence_output"],
            "inputs": token_inputs(random, 1, 4 + client % 8),
        }
        for client in range(CLIENTS)
    ]
    spoiled = range(0, CLIENTS, 5)
    for number in spoiled:
        requests[number]["inputs"]["input_word_ids"][0, 1] = 1_000_000
    before = tokens_server.counted("bert")
    answers = tokens_server.send(requests, tmp_path)
    for number, (request, answer) in enumerate(zip(requests, answers, strict=True)):
        if number in spoiled:
            assert re.search(r"refuses this request: indices\[.*\] = 1000000 is not in \[0, 1200\)", answer["error"])
        else:
            expected = local("serving_default", request["inputs"])
            assert_same(answer["sequence_output"], expected["sequence_output"], f"request {number}")
    assert tokens_server.counted("bert")["requests"] - before["requests"] == CLIENTS - len(spoiled)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda body: body["inputs"].pop(), "expected 3 inputs but got 2"),
        (lambda body: body["inputs"][0].update(name="tokens"), "unexpected inference input 'tokens'"),
        (lambda body: body.update(outputs=[{"name": "logits"}]), "unexpected inference output 'logits'"),
        (lambda body: body["inputs"][0].update(shape=[2, 3, 1]), "unexpected shape for input"),
        (lambda body: body["inputs"][1]["data"].__setitem__(4, -1), "input_mask, row 1, position 1: expected 0"),
        (lambda body: body.update(inputs=made_up(8, 2100)), "16800 tokens, and the most is 16384"),
        (lambda body: body["inputs"][0].update(datatype="FP32"), "data-type"),
        (lambda body: body["inputs"][0].update(shape=[6, 1]), "batch"),
        (lambda body: body.update(inputs=made_up(33, 1)), "must be <= 32"),
        (lambda body: body.update(inputs=made_up(1, 97)), "refuses this request"),
    ],
)
def test_a_wrong_request_gets_an_error_and_the_server_lives_on(change, message, tokens_server):
    body = {"inputs": made_up(2, 3)}
    assert tokens_server.post("bert", body)[0] == 200
    change(body)
    status, answer = tokens_server.post("bert", body)
    assert 400 <= status < 600
    assert message in answer["error"]
    assert tokens_server.post("nobody", body)[0] == 404
    body = {"inputs": made_up(2, 3)}
    assert tokens_server.post("bert", body)[0] == 200


def test_a_request_that_claims_a_million_rows_does_not_end_the_server(tokens_server):
    body = {"inputs": made_up(2, 3)}
    for shape in ([10**6, 10**6], [2, 4]):
        body["inputs"][0]["shape"] = shape
        status, answer = tokens_server.post("bert", body)
        assert (status, "the data of 6" in answer["error"]) == (400, True)
    assert tokens_server.post("bert", {"inputs": made_up(2, 3)})[0] == 200


def test_the_ready_line_names_each_model_with_its_inputs_and_outputs(tokens_server):
    address = f"http://127.0.0.1:{tokens_server.http}/v2/models"
    assert [line.split(" | ")[0] for line in tokens_server.ready] == [
        f"ready: {address}/bert/infer",
        f"ready: {address}/bert.taps/infer",
    ]
    assert "input_word_ids INT32 [-1, -1]" in tokens_server.ready[0].split(" | ")[1]
    assert "pooled_output FP32 [-1, 48]" in tokens_server.ready[0].split(" | ")[2]
    assert "attention_probs_3 FP32 [-1, 6, -1, -1]" in tokens_server.ready[1].split(" | ")[2]
    _, told = tokens_server.post("bert", None, path="versions/7")
    assert told["versions"] == ["7"]
