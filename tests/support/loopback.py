"""A stand-in for TensorFlow Serving on the loopback interface: its services and its JSON, over a session of its own.

It follows the server's sources where a client can tell: values in the field of their dtype, `output_filter`, the
default signature, REST by `inputs` (answered by columns, a number a line) and by `instances` (by rows, a list a line),
floats in six digits or, where these do not read back, in nine.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import NamedTuple

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from surgery.scanning.gate import clear_folder
from surgery.tf.session import SavedModelSession

FIELDS = {"float32": "float_val", "int32": "int_val", "object": "string_val"}


class Loopback(NamedTuple):
    """Where the two services listen."""

    grpc: str
    rest: str


@contextmanager
def serving(export: Path, model: str, version: int = 1, label: str = "stable") -> Iterator[Loopback]:
    """Serves an export as a model, whose version has a label, until the block ends."""
    with SavedModelSession(clear_folder(export), ["serve"]) as session:

        class Prediction(prediction_service_pb2_grpc.PredictionServiceServicer):
            def Predict(self, request, context):
                spec = request.model_spec
                if spec.name != model:
                    context.abort(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: Latest({spec.name})")
                if spec.version_label not in ("", label):
                    reason = f"Unrecognized servable version label: {spec.version_label}"
                    context.abort(grpc.StatusCode.INVALID_ARGUMENT, reason)
                name = spec.signature_name or "serving_default"
                try:
                    found = session.signature(name)({k: tf.make_ndarray(v) for k, v in request.inputs.items()})
                except (KeyError, ValueError) as error:
                    context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
                return response(found, model, version, name, request.output_filter)

        class Rest(BaseHTTPRequestHandler):
            def do_POST(self):
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path not in [f"/v1/models/{model}{of}:predict" for of in ("", f"/labels/{label}")]:
                    self.send_error(404)
                    return
                name = asked.get("signature_name", "serving_default")
                infos = session.signatures[name].inputs
                rows = asked.get("instances")
                given = asked["inputs"] if rows is None else {k: [row[k] for row in rows] for k in infos}
                batch = {k: np.array(given[k], tf.as_dtype(infos[k].dtype).as_numpy_dtype) for k in infos}
                body = reply_json(session.signature(name)(batch), rows=rows is not None).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        with ThreadPoolExecutor(2) as pool:
            server = grpc.server(pool, options=[("grpc.max_receive_message_length", 2**31 - 1)])
            prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Prediction(), server)
            port = server.add_insecure_port("127.0.0.1:0")
            server.start()
            web = HTTPServer(("127.0.0.1", 0), Rest)
            thread = threading.Thread(target=web.serve_forever, daemon=True)
            thread.start()
            try:
                yield Loopback(f"127.0.0.1:{port}", f"http://127.0.0.1:{web.server_port}")
            finally:
                web.shutdown()
                thread.join(10)
                web.server_close()
                server.stop(None).wait(10)


def response(found, model, version, signature, wanted=()):
    """The PredictResponse with these arrays, or with the wanted ones."""
    reply = predict_pb2.PredictResponse()
    reply.model_spec.name, reply.model_spec.signature_name = model, signature
    reply.model_spec.version.value = version
    for key in wanted or found:
        tensor, array = reply.outputs[key], found[key]
        tensor.dtype = tf.as_dtype(array.dtype).as_datatype_enum
        for size in array.shape:
            tensor.tensor_shape.dim.add(size=size)
        getattr(tensor, FIELDS[array.dtype.name]).extend(array.ravel().tolist())
    return reply


def reply_json(found, *, rows):
    """The body of a REST reply, with the server's blanks."""
    if rows:
        each = [{k: v[row] for k, v in found.items()} for row in range(len(next(iter(found.values()))))]
        return written({"predictions": each if len(found) > 1 else [next(iter(row.values())) for row in each]}, True)
    return written({"outputs": found if len(found) > 1 else next(iter(found.values()))}, False)


def written(value, single_line, depth=0):
    """A value as the server's JSON writer indents it; `single_line` keeps an array of numbers on its line."""
    inner, outer = "\n" + " " * 4 * (depth + 1), "\n" + " " * 4 * depth
    if isinstance(value, dict):
        items = (f'"{k}": {written(v, single_line, depth + 1)}' for k, v in value.items())
        return "{" + ",".join(f"{inner}{item}" for item in items) + outer + "}"
    if isinstance(value, (list, np.ndarray)):
        items = [written(item, single_line, depth + 1) for item in value]
        if single_line and isinstance(value, np.ndarray):
            return "[" + ", ".join(items) + "]"
        return "[" + ",".join(f"{inner}{item}" for item in items) + outer + "]"
    return decimal(value) if isinstance(value, np.floating) else json.dumps(value.item())


def decimal(value):
    """A float32 in six digits where these read back as the same, else in nine."""
    text = f"{value:g}"
    if np.float32(text) != value:
        text = f"{value:.9g}"
    return text if "." in text or "e" in text else f"{text}.0"
