"""The HTTP service in front of tritonserver: what it passes on and what it refuses. A stand-in is behind it."""

from __future__ import annotations

import gzip
import http.client
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from surgery.triton import guard
from surgery.triton.endpoints import take_ports

INFER = "/v2/models/bert/infer"


class StandIn(BaseHTTPRequestHandler):
    """Answers with what it has received."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Path", self.path)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def client():
    """`client(body, path, **headers)`: the status and the content of the answer, over one connection."""
    ports = take_ports("127.0.0.1", http=0, grpc=0, metrics=0)
    behind = ThreadingHTTPServer(("127.0.0.1", ports.inner), StandIn)
    behind.daemon_threads = True
    threading.Thread(target=behind.serve_forever, args=(0.05,), daemon=True).start()
    with guard.guarding("127.0.0.1", ports.http, ports.inner):
        connection = http.client.HTTPConnection("127.0.0.1", ports.http, timeout=20)

        def ask(body, path=INFER, **headers):
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request("GET" if body is None else "POST", path, body, names)
            answer = connection.getresponse()
            return answer.status, answer.read()

        yield ask
        connection.close()
    behind.shutdown()
    behind.server_close()


def inference(shape, data):
    return json.dumps({"inputs": [{"name": "ids", "datatype": "INT32", "shape": shape, "data": data}]}).encode()


@pytest.mark.parametrize("data", [[1, 2, 3, 4, 5, 6], [[1, 2, 3], [4, 5, 6]]])
def test_what_holds_what_it_claims_is_passed_on_unchanged(client, data):
    body = inference([2, 3], data)
    for _ in range(2):
        assert client(body) == (200, body)
    assert client(gzip.compress(body), Content_Encoding="gzip") == (200, body)
    assert client(None, "/v2/health/ready")[0] == 200


def test_binary_tensors_are_passed_on_for_tritonserver_to_check(client):
    header = json.dumps({"inputs": [{"name": "ids", "shape": [2, 3], "parameters": {"binary_data_size": 24}}]}).encode()
    body = header + b"\0" * 24
    assert client(body, Inference_Header_Content_Length=str(len(header))) == (200, body)
    assert client(body, Inference_Header_Content_Length="9999")[0] == 400


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (
            inference([10**6, 10**6], [1]),
            400,
            "the shape [1000000, 1000000] is of 1000000000000 elements, the data of 1",
        ),
        (inference([2**62, 4], []), 400, "elements, the data of 0"),
        (inference([-1], [1]), 400, "expected a shape of sizes from 0, found [-1]"),
        (inference([1e6], [1]), 400, "expected a shape"),
        (inference([1], [1]).replace(b'"shape"', b'"shape": [1000000], "shape"'), 400, "stands twice"),
        (b'{"inputs": [{"name": "ids", "shape": [1], "data": ' + b"[" * 500 + b"1" + b"]" * 500 + b"}]}", 400, "deep"),
        (b'{"inputs": [{"name": "ids", "shape": [1], "data": ' + b"[" * 10**5 + b"1" + b"]" * 10**5 + b"}]}", 400, ""),
        (inference([1], [1]).decode().encode("utf-16"), 400, "no JSON"),
        (b"{}", 400, "expected a JSON object"),
        (b"", 400, "no JSON"),
    ],
)
def test_what_claims_more_than_it_holds_is_refused_and_the_next_request_is_answered(client, body, status, reason):
    found, content = client(body)
    assert found == status
    assert reason in json.loads(content)["error"]
    assert client(inference([1], [1]))[0] == 200


def test_requests_are_bounded_in_bytes_also_when_they_are_packed(client, monkeypatch):
    monkeypatch.setattr(guard, "REQUEST_BYTES", 1000)
    assert client(inference([400], [1] * 400))[0] == 413
    assert client(gzip.compress(inference([400], [1] * 400)), Content_Encoding="gzip")[0] == 413
    assert client(b"no gzip", Content_Encoding="gzip")[0] == 400
    assert client(inference([1], [1]))[0] == 200


@pytest.mark.parametrize(
    "path", ["/v2/systemsharedmemory/region/x/register", "/v2/repository/models/x/load", "/v2/models/x/%69nfer"]
)
def test_nothing_but_inferences_can_be_posted(client, path):
    assert client(inference([1], [1]), path)[0] == 404


def test_a_server_behind_it_that_has_ended_is_an_answer():
    ports = take_ports("127.0.0.1", http=0, grpc=0, metrics=0)
    with guard.guarding("127.0.0.1", ports.http, ports.inner):
        connection = http.client.HTTPConnection("127.0.0.1", ports.http, timeout=20)
        connection.request("GET", "/v2/health/ready")
        assert connection.getresponse().status == 503
        connection.close()
