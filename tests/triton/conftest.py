"""Fixtures of the tests that start Triton: its environment, servers on loopback, the local model to compare with."""

from __future__ import annotations

import os
import re
import subprocess
import time

import pytest
import tensorflow as tf

from tests.triton.serving import ROOT, Server


@pytest.fixture(scope="session")
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
                ["bash", str(ROOT / "scripts" / "serve-triton"), str(export), *ports, *options],
                stdout=out,
                stderr=err,
                env={**os.environ, "TMPDIR": str(folder)},  # what a killed one leaves behind
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


@pytest.fixture(scope="session")
def export(text_exports):
    """The sample with its attention maps among the outputs, and the text export beside it."""
    return text_exports("g3_small")[0]


@pytest.fixture(scope="session")
def local(export):
    """`local(signature, inputs)`: what the export answers in this process, to one request at a time."""
    loaded = tf.saved_model.load(str(export))

    def run(signature, inputs):
        answer = loaded.signatures[signature](**{key: tf.constant(value) for key, value in inputs.items()})
        return {key: value.numpy() for key, value in answer.items()}

    return run
