"""Commands and a client for people to copy: they work as they are printed."""

from __future__ import annotations

import csv
import io
import json
import os
import shlex
import urllib.parse
from pathlib import Path
from typing import Any

from surgery.tfserving.config_files import BATCHING_CONFIG, MODELS_CONFIG
from surgery.tfserving.example_inputs import example_inputs
from surgery.tfserving.notes import batches
from surgery.tfserving.reply_size import LIMIT
from surgery.tfserving.served import Served

GRPC_PORT, REST_PORT = 8500, 8501
ROWS, TOKENS = 2, 4
"""Size of the example requests."""
CLIENT = "client.py"

TEMPLATE = '''\
"""Asks TensorFlow Serving over gRPC for one signature of a model: python {file} [HOST:PORT]"""

import sys

import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

ADDRESS = "localhost:{port}"
MODEL, SIGNATURE = {model!r}, {signature!r}
INPUTS = {inputs}
# The outputs to send back; an empty list asks for all.
OUTPUTS = {outputs}
# Bytes of a reply that are accepted. gRPC's own limit is 4 MiB.
RECEIVE = {receive}


def predict(address, inputs=INPUTS, outputs=OUTPUTS):
    """Arrays by output."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = MODEL
    request.model_spec.signature_name = SIGNATURE
    for key, (dtype, value) in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value, dtype=dtype))
    request.output_filter.extend(outputs)
    with grpc.insecure_channel(address, options=[("grpc.max_receive_message_length", RECEIVE)]) as channel:
        reply = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=60)
    return {{key: tf.make_ndarray(value) for key, value in reply.outputs.items()}}


if __name__ == "__main__":
    found = predict(sys.argv[1] if len(sys.argv) > 1 else ADDRESS)
    for name, array in sorted(found.items()):
        name = name if name.isprintable() else ascii(name)
        print(name, array.dtype, list(array.shape), array.ravel()[:3].tolist(), "...")
'''


def curl(served: Served) -> str:
    """A REST request by columns (`inputs`), as a command line for any shell."""
    signature = served.first
    inputs = {key: value for key, (_, value) in _example(served).items()}
    body = json.dumps({"signature_name": signature.name, "inputs": inputs})
    url = f"http://localhost:{REST_PORT}/v1/models/{_in_url(served.model)}:predict"
    return f"curl -s -d {shlex.quote(body)} {shlex.quote(url)}"


def client(served: Served) -> str:
    """A Python program that asks for every output of the first signature and accepts a reply of the described size."""
    signature = served.first
    mebibytes = max(LIMIT, 2 * signature.reply.total) // 2**20 + 1
    return TEMPLATE.format(
        file=CLIENT,
        port=GRPC_PORT,
        model=served.model,
        signature=signature.name,
        inputs=_lines("{", "}", [f"{k!r}: {v!r}" for k, v in _example(served).items()]),
        outputs=_lines("[", "]", [repr(tensor.key) for tensor in signature.signature.outputs]),
        receive=f"{mebibytes} * 2**20",
    )


def move(served: Served) -> str | None:
    """The command that puts an export where the server finds it; None where it is there already."""
    if served.version is not None:
        return None
    base, folder, target = (
        shlex.quote(str(path)) for path in (served.base_path, served.folder, served.base_path / "1")
    )
    return f"mkdir -p {base} && mv {folder} {target}"


def server(served: Served, configs: Path) -> str:
    """The command line of TensorFlow Serving, with its configuration files in a folder."""
    return f"tensorflow_model_server --port={GRPC_PORT} --rest_api_port={REST_PORT} " + " ".join(
        _flags(served, configs)
    )


def docker(served: Served, configs: Path) -> str:
    """The same in a container. Folders keep their paths, so that models.config is right inside as well."""
    shown = dict.fromkeys((str(served.base_path), str(configs)))
    mounts = " ".join(f"--mount {shlex.quote(_mount(path))}" for path in shown)
    ports = " ".join(f"-p 127.0.0.1:{port}:{port}" for port in (GRPC_PORT, REST_PORT))
    return f"docker run --rm {ports} {mounts} tensorflow/serving " + " ".join(_flags(served, configs))


def _in_url(name: str) -> str:
    return urllib.parse.quote(os.fsencode(name), safe="")


def _mount(path: str) -> str:
    """A folder in the syntax of --mount, which is a line of CSV; that of -v cannot have colons in a path."""
    line = io.StringIO()
    csv.writer(line).writerow(["type=bind", f"source={path}", f"target={path}", "readonly"])
    return line.getvalue().removesuffix("\r\n")


def _flags(served: Served, configs: Path) -> list[str]:
    flags = [f"--model_config_file={shlex.quote(str(configs / MODELS_CONFIG))}"]
    if batches(served):
        flags += [
            "--enable_batching",
            f"--batching_parameters_file={shlex.quote(str(configs / BATCHING_CONFIG))}",
        ]
    return flags


def _example(served: Served) -> dict[str, tuple[str, Any]]:
    return example_inputs(served.first.signature, ROWS, min(TOKENS, served.longest or TOKENS))


def _lines(start: str, end: str, items: list[str]) -> str:
    """A literal with one item per line."""
    return start + "".join(f"\n    {item}," for item in items) + f"\n{end}"
