"""Serve an export behind Triton; `scripts/serve-triton` starts this in the environment that it needs.

Until the command line is read, only packages of a bare Python are imported: the help needs no environment.
"""

from __future__ import annotations

import re
import signal
import sys
import threading
from argparse import Namespace
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from surgery.boundary import boundary
from surgery.errors import SurgeryError
from surgery.paths import at_home
from surgery.processes.scratch import scratch_folder
from surgery.triton.options import read_options
from surgery.wording import shown

if TYPE_CHECKING:
    from surgery.module import TensorInfo
    from surgery.triton.endpoints import Endpoints
    from surgery.triton.exported import Served


def main(arguments: list[str]) -> int:
    """Serves until SIGINT or SIGTERM. Returns the exit code; the help lists the codes."""
    options = read_options(arguments)
    try:
        with boundary(f"serving {options.exported}"):
            serve(options)
    except SurgeryError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def serve(options: Namespace) -> None:
    """Checks the export, its signatures and the ports before Triton starts; then serves. Raises SurgeryError."""
    from surgery.batching.bounds import Bounds
    from surgery.triton.endpoints import take_ports
    from surgery.triton.exported import choose_signatures, find_export
    from surgery.triton.guard import guarding
    from surgery.triton.process import make_backends, running
    from surgery.triton.repository import Batching, write_repository

    stop = StopSignals()
    exported = at_home(options.exported)
    models = choose_signatures(find_export(exported), options.signature, options.name, trust=options.trust)
    endpoints = take_ports(
        options.address, http=options.http_port, grpc=options.grpc_port, metrics=options.metrics_port
    )
    with scratch_folder() as workspace:
        bounds = Bounds(rows=options.max_batch, tokens=options.max_tokens, text_bytes=options.max_text_bytes)
        batching = Batching(bounds=bounds, delay_us=options.delay_us)
        program = make_backends(workspace / "backends")
        write_repository(workspace / "models", models, batching, options.threads)
        say(f"loading {models[0].folder} ...")
        with (
            guarding(endpoints.address, endpoints.http, endpoints.inner),
            running(program, workspace, endpoints, options.verbose) as server,
        ):
            stop.second_time = server.kill
            if server.wait_until_ready(endpoints.url, stop.is_set):
                announce(models, endpoints, workspace / "models")
                while not stop.wait(1.0):
                    server.check()
                say(summary(endpoints))
            say("stopping ...")


class StopSignals:
    """An event that the first SIGINT or SIGTERM sets. Each further signal calls `second_time`."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.second_time: Callable[[], object] = lambda: None
        self.is_set = self._event.is_set
        self.wait = self._event.wait
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._receive)

    def _receive(self, number: int, frame: object) -> None:
        if self._event.is_set():
            self.second_time()
        self._event.set()


def announce(models: Sequence[Served], endpoints: Endpoints, repository: Path) -> None:
    """Prints a line per model on stdout: its URL, inputs and outputs; on stderr, which of its requests share a run."""
    from surgery.triton.exported import TRITON_TYPES
    from surgery.triton.repository import LAYOUT_FILE, client_shape

    def listed(tensors: Iterable[TensorInfo], batched: bool) -> str:
        return ", ".join(
            f"{tensor.key} {TRITON_TYPES[tensor.dtype].replace('STRING', 'BYTES')} {client_shape(tensor, batched)}"
            for tensor in tensors
        )

    for served in models:
        ready = (
            f"ready: {endpoints.url}/v2/models/{served.model}/infer"
            f" | in: {listed(served.signature.inputs, served.batched)}"
            f" | out: {listed(served.signature.outputs, served.batched)}"
        )
        print(shown(ready), flush=True)
        say(f"{served.model}: {(repository / served.model / str(served.version) / LAYOUT_FILE).read_text()}")
    say(f"gRPC {endpoints.host}:{endpoints.grpc}, metrics {endpoints.metrics_url}; Ctrl-C stops it")


def summary(endpoints: Endpoints) -> str:
    """The numbers of requests and of runs that answered them, from the server's metrics."""
    from surgery.triton.process import open_here

    try:
        with open_here(endpoints.metrics_url, 5) as answer:
            text = answer.read().decode()
    except OSError:
        return "the metrics no longer answer"
    requests, runs = (
        sum(float(number) for number in re.findall(rf"^surgery_{counter}\{{.*\}} (\S+)$", text, re.MULTILINE))
        for counter in ("requests", "runs")
    )
    return f"{requests:.0f} requests answered in {runs:.0f} runs of the model"


def say(text: str) -> None:
    """Prints a message on stderr."""
    print(shown(text), file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
