"""scripts/serve-triton: what it says before it starts, how it ends, and how it finds out what may share a run."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
from pathlib import Path

import numpy as np
import pytest

from surgery.batching.probing import learn_layout
from surgery.scanning.gate import clear_folder
from surgery.tf.traced_signature import TracedSignature
from tests.triton.serving import ROOT, assert_same, descendants, running, token_inputs


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_a_signal_ends_the_server_and_all_that_it_started(number, code, start, export):
    server = start(export, "--signature", "serving_default")
    pids = descendants(server.process.pid)
    assert len(pids) >= 2, "tritonserver, and the model's own process"
    os.kill(server.process.pid, number)
    assert server.process.wait(60) == code
    deadline = time.monotonic() + 30
    while running(pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not running(pids)
    with pytest.raises(urllib.error.URLError):
        server.post("bert", None, path="versions/7")
    if code == 0:
        assert "stopping" in server.said.read_text()
        assert not list(Path("/dev/shm").glob(f"surgery-{server.process.pid}-*"))


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["nowhere"], 3, "serving nowhere: expected a folder with a saved_model.pb, and there is no such folder"),
        (
            ["EXPORT", "--signature", "logits"],
            2,
            "--signature logits: .* has no such signature\n.*it has .*serving_default, taps",
        ),
        (["EXPORT", "--name", "a/b"], 2, "--name 'a/b': a model's name is part of its URL"),
        (["EXPORT", "--http-port", "TAKEN"], 2, "--http-port .*: cannot listen on 127.0.0.1: Address already in use"),
        (["EXPORT", "--address", "::1"], 2, "--address ::1: expected a numeric IPv4 address"),
        (["EXPORT", "--grpc-port", "TAKEN", "--http-port", "0"], 2, "--grpc-port .*: cannot listen on 127.0.0.1"),
        (["EXPORT", "--max-batch", "0"], 2, "--max-batch: expected 1 to 65536, found '0'"),
    ],
)
def test_what_cannot_be_served_is_said_before_triton_starts(options, code, message, triton_python, export, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        meant = {"EXPORT": str(export), "TAKEN": str(taken.getsockname()[1])}
        command = [
            triton_python,
            "-m",
            "surgery.triton",
            *(meant.get(word, word) for word in options),
        ]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == code
    assert re.search(message, done.stderr)
    assert "Traceback" not in done.stderr
    assert "loading" not in done.stderr
    assert done.stdout == ""


def test_weights_that_cannot_be_read_are_said_with_the_reason_and_nothing_is_left(triton_python, export, tmp_path):
    broken = shutil.copytree(export, tmp_path / "broken")
    (values,) = broken.glob("variables/variables.data-*")
    os.truncate(values, 1000)
    command = [triton_python, "-m", "surgery.triton", str(broken)]
    command += [word for protocol in ("http", "grpc", "metrics") for word in (f"--{protocol}-port", "0")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    out, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "failed to load 'broken' version 1: Internal: " in said
    assert out == ""
    assert not list(Path("/dev/shm").glob(f"surgery-{process.pid}-*"))
    assert not list(tmp_path.glob("surgery-scratch-*"))


def test_without_pytriton_the_error_names_the_script_that_brings_it(export, tmp_path):
    command = [sys.executable, "-m", "surgery.triton", str(export), "--http-port", "0"]
    command += ["--grpc-port", "0", "--metrics-port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "has no pytriton" in done.stderr
    assert "start scripts/serve-triton" in done.stderr


@pytest.mark.parametrize(
    ("name", "padded"),
    [
        ("g3_small", True),
        ("g4_albert", True),
        ("g4_talkheads", True),
        ("tf1_bert_small", True),
        ("g4_mobilebert", False),
    ],
)
def test_padding_is_exact_for_all_but_mobilebert_whose_embeddings_see_the_next_token(name, padded, modules):
    tags, signature = ([], "tokens") if name.startswith("tf1") else (["serve"], "serving_default")
    runner = TracedSignature(clear_folder(modules(name)), tags, signature)
    layout, _ = learn_layout(runner.inputs, runner.outputs, runner.run)
    assert bool(layout.padded) is padded
    if padded:
        assert layout.sequence_axes == {
            key: tuple(axis for axis, size in enumerate(tensor.shape) if axis and size is None)
            for key, tensor in runner.outputs.items()
        }


def test_a_run_computes_the_outputs_that_are_asked_for_and_no_others(export):
    runner = TracedSignature(clear_folder(export), ["serve"], "serving_default")
    inputs = token_inputs(np.random.default_rng(0), 16, 90)

    def seconds(wanted):
        taken = []
        for _ in range(12):
            started = time.perf_counter()
            runner.run(inputs, wanted)
            taken.append(time.perf_counter() - started)
        return min(taken)

    everything = runner.run(inputs)
    first = runner.run(inputs, {"embedding_output"})
    assert set(first) == {"embedding_output"}
    assert_same(first["embedding_output"], everything["embedding_output"], "embedding_output")
    assert seconds({"embedding_output"}) < seconds(None) / 4, "what comes before all blocks needs none of them"
