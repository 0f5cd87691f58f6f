"""tritonserver as a child: started, awaited, and stopped with all that it has started."""

from __future__ import annotations

import ctypes
import ipaddress
import os
import re
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from surgery.errors import SurgeryError, UsageError

READY_WITHIN = 600.0
"""Seconds for loading; a server that is busy with a large model still says nothing."""
STOPPED_WITHIN = 40.0
LOG_LINES_SHOWN = 25


@dataclass(frozen=True, kw_only=True)
class Endpoints:
    """Where the server listens: an IPv4 address and three ports."""

    address: str
    http: int
    grpc: int
    metrics: int

    @property
    def host(self) -> str:
        """The address as clients on this machine write it."""
        return "127.0.0.1" if self.address == "0.0.0.0" else self.address

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.http}"

    @property
    def metrics_url(self) -> str:
        return f"http://{self.host}:{self.metrics}/metrics"


def take_ports(address: str, **wanted: int) -> Endpoints:
    """Free ports by protocol, for 0 one that the system picks. Raises UsageError for one that is taken."""
    try:
        ipaddress.IPv4Address(address)
    except ValueError as error:
        raise UsageError(
            f"--address {address}: expected a numeric IPv4 address, which Triton's HTTP and gRPC both take",
            hint="127.0.0.1 is this machine only, 0.0.0.0 every network it is in",
        ) from error
    held: list[socket.socket] = []
    ports = {}
    try:
        for protocol, port in wanted.items():
            try:
                holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
                held.append(holder)
                holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                holder.bind((address, port))
                holder.listen()  # until now, two of them could have the same port
            except OSError as error:
                raise UsageError(
                    f"--{protocol}-port {port}: cannot listen on {address}: {error.strerror}",
                    hint="stop what listens there, or choose another one; 0 takes a free one",
                ) from error
            ports[protocol] = holder.getsockname()[1]
    finally:
        for holder in held:
            holder.close()
    return Endpoints(address=address, **ports)


def make_backends(folder: Path) -> Path:
    """Triton's folder of backends: the Python backend, with the stub for this Python. Returns its tritonserver.

    Raises UsageError where this Python has no pytriton, or pytriton no stub that runs here.
    """
    try:
        import pytriton
    except ImportError as error:
        raise UsageError(
            f"starting Triton: {sys.executable} has no pytriton",
            hint="start scripts/serve-triton, which uses the environment that scripts/environment triton makes",
        ) from error
    carried = Path(pytriton.__file__).parent / "tritonserver"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = carried / "python_backend_stubs" / version / "triton_python_backend_stub"
    if not stub.is_file():
        raise UsageError(
            f"starting Triton: pytriton {pytriton.__version__} has no backend for Python {version}",
            hint="make .environments/triton with Python 3.11",
        )
    library = f"libpython{version}.so.1.0"
    try:
        ctypes.CDLL(_library_folder(library) + library)
    except OSError as error:
        raise UsageError(
            f"starting Triton: its Python backend needs {library}, and this system has none",
            hint="install it (Debian: libpython3.11), or use a Python that was built with --enable-shared",
        ) from error
    backend = folder / "python"
    backend.mkdir(parents=True)
    for file in (carried / "backends" / "python").iterdir():
        if file.is_file():
            (backend / file.name).symlink_to(file)
    (backend / stub.name).symlink_to(stub)
    return carried / "bin" / "tritonserver"


def _library_folder(library: str) -> str:
    """The folder of this Python's own shared library, with a slash; empty where the system's has to do."""
    folder = sysconfig.get_config_var("LIBDIR") or ""
    return f"{folder}/" if (Path(folder) / library).is_file() else ""


def _environment(verbose: bool) -> Mapping[str, str]:
    python = Path(sys.prefix) / "bin"
    folder = _library_folder(f"libpython{sys.version_info.major}.{sys.version_info.minor}.so.1.0")
    libraries = [path for path in (folder, os.environ.get("LD_LIBRARY_PATH", "")) if path]
    return {
        **os.environ,
        # The stub takes its packages from the first python on PATH.
        "PATH": f"{python}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "TF_CPP_MIN_LOG_LEVEL": "0" if verbose else "3",
        # surgery.tf asks for Keras 2, which is not in this environment, and an export needs no Keras.
        "TF_USE_LEGACY_KERAS": "0",
        **({"LD_LIBRARY_PATH": os.pathsep.join(libraries)} if libraries else {}),
    }


class TritonServer:
    """A running tritonserver; see `running`."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, verbose: bool) -> None:
        self._process = process
        self._log = log
        self._verbose = verbose

    def wait_until_ready(self, url: str, stopping: Callable[[], bool]) -> bool:
        """True when every model is ready, False when `stopping` came first. Raises SurgeryError when it has ended."""
        deadline = time.monotonic() + READY_WITHIN
        while time.monotonic() < deadline:
            if stopping():
                return False
            self.check()
            with suppress(urllib.error.URLError, OSError), open_here(f"{url}/v2/health/ready", 5) as answer:
                if answer.status == 200:
                    return True
            time.sleep(0.1)
        raise self._failure(f"it was not ready within {READY_WITHIN:.0f} s")

    def check(self) -> None:
        """Raises SurgeryError when the server has ended by itself."""
        code = self._process.poll()
        if code is not None:
            raise self._failure(f"tritonserver has ended with code {code}")

    def stop(self) -> None:
        """Lets requests in flight finish; then ends it, and whatever is left of its process group."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOPPED_WITHIN)
        self.kill()

    def kill(self) -> None:
        """Ends the whole process group at once."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _failure(self, what: str) -> SurgeryError:
        if self._verbose:
            return SurgeryError(f"serving: {what}", hint="Triton's own messages above say why")
        lines = self._log.read_text(errors="replace").splitlines()
        # Triton logs a message with its stack on one line, with the line ends escaped.
        said = [line.split("] ", 1)[-1].strip('"').split("\\n")[0] for line in lines if line.startswith("E")]
        said = [line for line in said if "Cuda" not in line]  # it says so wherever there is no GPU
        telling = [line for line in said if re.match(r"failed to load .* version \d+: ", line)] or said
        shown = "".join(f"\n  {line}" for line in telling[-LOG_LINES_SHOWN:])
        return SurgeryError(f"serving: {what}{shown}", hint="--verbose shows everything that it says")


@contextmanager
def running(program: Path, workspace: Path, endpoints: Endpoints, verbose: bool) -> Iterator[TritonServer]:
    """tritonserver for `workspace`/models and `workspace`/backends, stopped at the end."""
    log = workspace / "log"
    shared_memory = f"surgery-{os.getpid()}-"
    command = [
        str(program),
        f"--model-repository={workspace / 'models'}",
        f"--backend-directory={workspace / 'backends'}",
        f"--http-address={endpoints.address}",
        f"--grpc-address={endpoints.address}",
        f"--metrics-address={endpoints.address}",
        f"--http-port={endpoints.http}",
        f"--grpc-port={endpoints.grpc}",
        f"--metrics-port={endpoints.metrics}",
        "--disable-auto-complete-config",
        "--allow-gpu-metrics=false",
        f"--backend-config=python,shm-region-prefix-name={shared_memory}",
    ]
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=None if verbose else file,
            stderr=subprocess.STDOUT if not verbose else None,
            env=_environment(verbose),
            # A group of its own: Ctrl-C reaches this program only, which then stops the server in order.
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )
    server = TritonServer(process, log, verbose)
    try:
        yield server
    finally:
        server.stop()
        # Requests and answers pass through these; a server that ended by itself leaves them behind.
        for left in Path("/dev/shm").glob(f"{shared_memory}*"):
            left.unlink(missing_ok=True)


def open_here(url: str, timeout: float) -> Any:
    """Opens a URL of this machine, whatever proxy the environment names."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=timeout)


def _end_with_parent() -> None:
    """In the child: SIGTERM when the parent dies, however it dies (prctl(2), PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
