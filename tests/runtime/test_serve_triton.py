"""scripts/serve-triton: a real Triton on loopback, 32 clients at a time, every answer compared with the local model."""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf

import surgery

ROOT = Path(__file__).parents[2]
CLIENT = Path(__file__).with_name("triton_client.py")
CLIENTS = 32
REQUESTS = 6  # a client
MEBIBYTE = 2**20
TOKEN_INPUTS = ("input_word_ids", "input_mask", "input_type_ids")


class Server(NamedTuple):
    process: subprocess.Popen
    python: str  # of the environment `triton`
    ready: list[str]
    said: Path
    http: int
    grpc: int
    metrics: int

    def counted(self, model):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        return {
            what: float(re.search(rf'^surgery_{what}{{model="{model}",version="\d+"}} (\S+)$', text, re.MULTILINE)[1])
            for what in ("runs", "requests", "rows")
        }

    def post(self, model, body, path="infer"):
        """The status and the JSON of an answer over plain HTTP."""
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}/v2/models/{model}/{path}", data=data)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def send(self, requests, folder):
        """Answers, by request: outputs by key, or the message of what failed."""
        arrays = {f"{n}/{key}": value for n, request in enumerate(requests) for key, value in request["inputs"].items()}
        plan = [{**request, "inputs": list(request["inputs"])} for request in requests]
        np.savez(folder / "plan.npz", plan=np.array(json.dumps(plan)), **arrays)
        command = [self.python, CLIENT, self.http, self.grpc, folder / "plan.npz", folder / "answers.npz"]
        done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=150, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        with np.load(folder / "answers.npz") as found:
            answers = dict(found)
        outputs = [{} for _ in requests]
        for key, value in answers.items():
            number, _, name = key.partition("/")
            outputs[int(number)][name or "error"] = value if name else str(value)
        return outputs


@pytest.fixture(scope="module")
def triton_python():
    """The Python of the environment that scripts/environment makes, or has made."""
    done = subprocess.run(
        ["bash", str(ROOT / "scripts" / "environment"), "triton"],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def start(triton_python, tmp_path_factory):
    """`start(export, *options)`: a server on free ports of loopback, ready; ended after the module at the latest."""
    started = []

    def begin(export, *options, within=120.0):
        folder = tmp_path_factory.mktemp("server")
        ports = [option for protocol in ("http", "grpc", "metrics") for option in (f"--{protocol}-port", "0")]
        with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
            process = subprocess.Popen(
                ["bash", str(ROOT / "scripts" / "serve-triton"), str(export), *ports, *options], stdout=out, stderr=err
            )
        started.append(process)
        deadline = time.monotonic() + within
        while "Ctrl-C" not in (said := (folder / "err").read_text()):
            assert process.poll() is None, said
            assert time.monotonic() < deadline, f"not ready within {within} s: {said}"
            time.sleep(0.1)
        ready = (folder / "out").read_text().splitlines()
        (http,) = {int(re.match(r"ready: http://127.0.0.1:(\d+)/", line)[1]) for line in ready}
        grpc, metrics = map(
            int, re.search(r"gRPC 127\.0\.0\.1:(\d+), metrics http://127\.0\.0\.1:(\d+)/", said).groups()
        )
        return Server(process, triton_python, ready, folder / "err", http, grpc, metrics)

    yield begin
    for process in started:
        if process.poll() is None:
            process.terminate()
            process.wait(60)


@pytest.fixture(scope="module")
def export(source, tmp_path_factory):
    """The sample with its attention maps among the outputs, and the text export beside it."""
    destination = tmp_path_factory.mktemp("served") / "bert" / "7"
    surgery.convert(source("g3_small"), destination, taps=["attention_probs"], text=True, seq_length=40)
    return destination


@pytest.fixture(scope="module")
def tokens_server(start, export):
    return start(export, "--signature", "serving_default", "--signature", "taps", "--delay-us", "4000")


@pytest.fixture(scope="module")
def texts_server(start, export):
    return start(export.parents[1] / "bert_text", "--name", "texts", "--delay-us", "4000")


@pytest.fixture(scope="module")
def local(export):
    """`local(signature, inputs)`: what the export answers in this process, to one request at a time."""
    loaded = tf.saved_model.load(str(export))

    def run(signature, inputs):
        answer = loaded.signatures[signature](**{key: tf.constant(value) for key, value in inputs.items()})
        return {key: value.numpy() for key, value in answer.items()}

    return run


def token_inputs(random, rows, length):
    """Rows of random tokens; masks with ragged ends, with gaps, and now and then a row that is nothing but padding."""
    mask = np.arange(length)[None] < random.integers(1, length + 1, (rows, 1))
    if random.random() < 0.3:
        mask &= random.random((rows, length)) < 0.7
        mask[:, 0] = True
    if random.random() < 0.15:
        mask[-1] = False
    return {
        "input_word_ids": random.integers(0, 1200, (rows, length)).astype(np.int32),
        "input_mask": mask.astype(np.int32),
        "input_type_ids": random.integers(0, 2, (rows, length)).astype(np.int32),
    }


def assert_same(found, expected, what):
    assert found.shape == expected.shape, what
    assert found.dtype == expected.dtype, what
    bound = 2e-5 * (1 + np.sqrt(np.mean(np.square(expected, dtype=np.float64))))
    assert np.max(np.abs(found - expected), initial=0) <= bound, what


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
