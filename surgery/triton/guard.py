"""The HTTP service that clients see. It looks at a request before tritonserver does, and passes it on.

tritonserver makes room for as many numbers as the shape in a JSON request claims, before it counts the numbers that are
there. A request of a hundred bytes that claims [1000000, 1000000] therefore ends the whole server (std::bad_alloc).
The server of nvidia-pytriton 0.7 has no option against it, and its backends see a request only afterwards. Over gRPC,
tritonserver compares shape and bytes by itself.

Passed on are GET requests, and POST requests for an inference whose JSON holds what its shapes claim. tritonserver
listens on a port of the loopback interface.
"""

from __future__ import annotations

import http.client
import json
import re
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import prod
from typing import Any

REQUEST_BYTES = 64 * 2**20
"""The most bytes of a request over HTTP, unpacked."""
DEEPEST = 16
"""The deepest nesting of lists in the numbers of an input. Triton's tensors have fewer axes."""
INFERENCE = re.compile(r"/v2/models/[^/?]+(/versions/[^/?]+)?/infer")
HEADER_LENGTH = "Inference-Header-Content-Length"
"""Bytes of the JSON in a request whose tensors follow in binary form."""
IDLE = 300.0
"""Seconds after which a connection without a request is closed."""
OWN = frozenset(
    {"connection", "transfer-encoding", "keep-alive", "content-length", "content-encoding", "host", "expect"}
)
"""Headers that belong to a connection, not to a request, or that change on the way."""


class Refused(Exception):
    """A request that is not passed on.

    Attributes:
        status: The status of the answer.
    """

    def __init__(self, status: int, reason: str) -> None:
        self.status = status
        super().__init__(reason)


@contextmanager
def guarding(address: str, port: int, inner: int) -> Iterator[None]:
    """Listens on an address and port, and passes requests to tritonserver on the port `inner`, until the block ends.

    Raises OSError when the port is taken.
    """
    server = _Server((address, port), partial(_Handler, inner))
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="guard", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def check_request(body: bytes, json_bytes: int | None) -> None:
    """Raises Refused for the body of an inference request whose JSON claims what it does not hold.

    `json_bytes` is the length of the JSON, None for a body without binary tensors.
    """
    try:
        request = json.loads(body[:json_bytes].decode("utf-8"), object_pairs_hook=_unambiguous)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"the request is no JSON that can be read: {error}") from error
    inputs = request.get("inputs") if isinstance(request, dict) else None
    if not isinstance(inputs, list) or not all(isinstance(tensor, dict) for tensor in inputs):
        raise Refused(400, 'expected a JSON object with the list "inputs"')
    for tensor in inputs:
        shape = tensor.get("shape")
        if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
            raise Refused(
                400, f"input {_shown(tensor)}: expected a shape of sizes from 0, found {json.dumps(shape)[:80]}"
            )
        if "data" in tensor and (there := _count(tensor["data"])) != prod(shape):
            raise Refused(
                400, f"input {_shown(tensor)}: the shape {shape} is of {prod(shape)} elements, the data of {there}"
            )


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object as a dict. Of a key that stands twice, Triton's parser and Python's see different values."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key of an object stands twice")
    return found


def _count(data: Any) -> int:
    """The number of elements in nested lists. Raises Refused for lists that are nested too deeply."""
    level, count = [data], 0
    for _ in range(DEEPEST + 1):
        lists = [value for value in level if isinstance(value, list)]
        count += len(level) - len(lists)
        if not lists:
            return count
        level = [value for inner in lists for value in inner]
    raise Refused(400, f"the data of an input is nested more than {DEEPEST} deep")


def _shown(tensor: dict[str, Any]) -> str:
    return json.dumps(tensor.get("name"))[:80]


class _Server(ThreadingHTTPServer):
    """A thread for each connection."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing: the client has gone, and nobody waits for an answer."""


class _Handler(BaseHTTPRequestHandler):
    """One connection of a client, with one connection to tritonserver behind it."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE
    disable_nagle_algorithm = True

    def __init__(self, inner: int, *args: Any) -> None:
        self._behind = http.client.HTTPConnection("127.0.0.1", inner)
        super().__init__(*args)

    def do_GET(self) -> None:
        """Passes on a question about the server or its models."""
        self._answer(self._read_nothing)

    def do_POST(self) -> None:
        """Passes on an inference that holds what it claims."""
        self._answer(self._read_inference)

    def finish(self) -> None:
        """Closes both connections."""
        self._behind.close()
        super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        """Logs nothing: tritonserver has a log of its own."""

    def _read_nothing(self) -> bytes:
        if "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            raise Refused(400, "a GET request has no content")
        return b""

    def _read_inference(self) -> bytes:
        if "Transfer-Encoding" in self.headers or not (length := self.headers.get("Content-Length", "")).isdecimal():
            raise Refused(411, "expected the header Content-Length")
        if int(length) > REQUEST_BYTES:
            raise Refused(413, f"the request has {length} bytes, the most is {REQUEST_BYTES}")
        body = self.rfile.read(int(length))
        if not INFERENCE.fullmatch(self.path):
            raise Refused(404, "POST requests are for inferences: /v2/models/MODEL/infer")
        if self.headers.get("Content-Encoding", "identity") != "identity":
            body = _unpacked(body)
        header = self.headers.get(HEADER_LENGTH)
        if header is not None and not (header.isdecimal() and int(header) <= len(body)):
            raise Refused(400, f"{HEADER_LENGTH} is {header[:40]!r}, the request has {len(body)} bytes")
        check_request(body, None if header is None else int(header))
        return body

    def _answer(self, read: Any) -> None:
        try:
            body = read()
        except Refused as refused:
            self.close_connection = True  # what was not read would be taken for the next request
            self._send_error(refused.status, str(refused))
            return
        headers = {name: value for name, value in self.headers.items() if name.lower() not in OWN}
        try:
            self._behind.request(self.command, self.path, body or None, headers)
            answer = self._behind.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._behind.close()
            self._send_error(503, f"Triton does not answer: {error}")
            return
        self._send(answer.status, dict(answer.getheaders()), content)

    def _send_error(self, status: int, reason: str) -> None:
        """Sends an error in Triton's own form."""
        self._send(status, {"Content-Type": "application/json"}, json.dumps({"error": reason}).encode())

    def _send(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in OWN - {"content-encoding"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)


def _unpacked(body: bytes) -> bytes:
    """The content of a compressed request (gzip or deflate). Raises Refused beyond REQUEST_BYTES, and for damage."""
    stream = zlib.decompressobj(wbits=47)  # finds out which of the two it is
    try:
        found = stream.decompress(body, REQUEST_BYTES)
    except zlib.error as error:
        raise Refused(400, f"unpacking the request: {error}") from error
    if not stream.eof:
        raise Refused(413, f"the request is cut off, or has more than {REQUEST_BYTES} bytes when it is unpacked")
    return found
