"""Serve an export behind Triton; `scripts/serve-triton` starts this in the environment that it needs."""

from __future__ import annotations

import re
import signal
import sys
import tempfile
import threading
from pathlib import Path

from triton_server.options import read_options


def main(arguments: list[str]) -> int:
    """Serves until SIGINT or SIGTERM. Returns the exit code."""
    options = read_options(arguments)
    from surgery.errors import SurgeryError

    try:
        serve(options)
    except SurgeryError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def serve(options) -> None:
    """Checks everything that can be checked before Triton starts; then serves. Raises SurgeryError."""
    from triton_server.exported import choose_signatures, find_export
    from triton_server.process import make_backends, running, take_ports
    from triton_server.repository import Batching, write_repository

    stop = StopSignals()
    models = choose_signatures(find_export(options.exported), options.signature, options.name)
    endpoints = take_ports(
        options.address, http=options.http_port, grpc=options.grpc_port, metrics=options.metrics_port
    )
    with tempfile.TemporaryDirectory(prefix="serve-triton-") as folder:
        workspace = Path(folder)
        program = make_backends(workspace / "backends")
        write_repository(workspace / "models", models, Batching(options.max_batch, options.delay_us), options.threads)
        say(f"loading {models[0].folder} ...")
        with running(program, workspace, endpoints, options.verbose) as server:
            stop.second_time = server.kill
            if server.wait_until_ready(endpoints.url, stop.is_set):
                announce(models, endpoints, workspace / "models")
                while not stop.wait(1.0):
                    server.check()
                say(summary(endpoints))
            say("stopping ...")


class StopSignals:
    """Set by the first SIGINT or SIGTERM; the second one calls `second_time`."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.second_time = lambda: None
        self.is_set = self._event.is_set
        self.wait = self._event.wait
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._receive)

    def _receive(self, number: int, frame: object) -> None:
        if self._event.is_set():
            self.second_time()
        self._event.set()


def announce(models, endpoints, repository: Path) -> None:
    """A line a model on stdout: it is ready, where, and what goes in and out; on stderr, which requests share a run."""
    from triton_server.exported import TRITON_TYPES
    from triton_server.repository import LAYOUT_FILE, client_shape

    def told(tensors, batched) -> str:
        return ", ".join(
            f"{tensor.key} {TRITON_TYPES[tensor.dtype].replace('STRING', 'BYTES')} {client_shape(tensor, batched)}"
            for tensor in tensors
        )

    for served in models:
        print(
            f"ready: {endpoints.url}/v2/models/{served.model}/infer"
            f" | in: {told(served.signature.inputs, served.batched)}"
            f" | out: {told(served.signature.outputs, served.batched)}",
            flush=True,
        )
        say(f"{served.model}: {(repository / served.model / str(served.version) / LAYOUT_FILE).read_text()}")
    say(f"gRPC {endpoints.host}:{endpoints.grpc}, metrics {endpoints.metrics_url}; Ctrl-C stops it")


def summary(endpoints) -> str:
    """How many requests were answered in how many runs, from the server's metrics."""
    from triton_server.process import open_here

    try:
        with open_here(endpoints.metrics_url, 5) as answer:
            text = answer.read().decode()
    except OSError:
        return "the metrics no longer answer"
    requests, runs = (
        sum(float(number) for number in re.findall(rf"^surgery_{what}\{{.*\}} (\S+)$", text, re.MULTILINE))
        for what in ("requests", "runs")
    )
    return f"{requests:.0f} requests answered in {runs:.0f} runs of the model"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
