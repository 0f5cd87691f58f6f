"""tritonserver as a child process: started, awaited, and stopped together with the processes that it started."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from surgery.errors import SurgeryError, UsageError
from surgery.triton.endpoints import Endpoints

READY_WITHIN = 600.0
"""Seconds for loading. A server that loads a large model answers nothing until it is done."""
STOPPED_WITHIN = 40.0
"""Seconds for requests in flight after SIGTERM."""
LOG_LINES_SHOWN = 25


def make_backends(folder: Path) -> Path:
    """Makes Triton's folder of backends: the Python backend, with the stub for this Python.

    Returns the path of tritonserver. Raises UsageError where pytriton is not installed, has no stub for this Python, or
    the stub's shared library is missing.
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
    """The folder of this Python's own shared library, with a slash; empty where it has none: the system's is used."""
    folder = sysconfig.get_config_var("LIBDIR") or ""
    return f"{folder}/" if (Path(folder) / library).is_file() else ""


def _environment(verbose: bool) -> Mapping[str, str]:
    python = Path(sys.prefix) / "bin"
    folder = _library_folder(f"libpython{sys.version_info.major}.{sys.version_info.minor}.so.1.0")
    libraries = [path for path in (folder, os.environ.get("LD_LIBRARY_PATH", "")) if path]
    return {
        **os.environ,
        # The stub takes its packages from the first Python on PATH.
        "PATH": f"{python}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "TF_CPP_MIN_LOG_LEVEL": "0" if verbose else "3",
        # surgery.tf asks for Keras 2, which is not in this environment, and an export needs no Keras.
        "TF_USE_LEGACY_KERAS": "0",
        **({"LD_LIBRARY_PATH": os.pathsep.join(libraries)} if libraries else {}),
    }


class TritonServer:
    """A running tritonserver. `running` starts and stops it."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, verbose: bool) -> None:
        self._process = process
        self._log = log
        self._verbose = verbose

    def wait_until_ready(self, url: str, stopping: Callable[[], bool]) -> bool:
        """Waits for the server: True when every model is ready, False when `stopping` is true before that.

        Raises SurgeryError when the server ends by itself, or is not ready in time.
        """
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
        """Lets requests in flight finish, up to STOPPED_WITHIN seconds; then ends the server's process group."""
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

    def _failure(self, event: str) -> SurgeryError:
        if self._verbose:
            return SurgeryError(f"serving: {event}", hint="Triton's own messages above say why")
        lines = self._log.read_text(errors="replace").splitlines()
        # Triton logs a message with its stack on one line, with the line ends escaped.
        errors = [line.split("] ", 1)[-1].strip('"').split("\\n")[0] for line in lines if line.startswith("E")]
        errors = [line for line in errors if "Cuda" not in line]  # logged wherever there is no GPU
        causes = [line for line in errors if re.match(r"failed to load .* version \d+: ", line)] or errors
        shown = "".join(f"\n  {line}" for line in causes[-LOG_LINES_SHOWN:])
        return SurgeryError(f"serving: {event}{shown}", hint="--verbose shows all messages of the server")


@contextmanager
def running(program: Path, workspace: Path, endpoints: Endpoints, verbose: bool) -> Iterator[TritonServer]:
    """tritonserver with the models in `workspace`/models and the backends in `workspace`/backends.

    The server is stopped when the block ends.
    """
    log = workspace / "log"
    shared_memory = f"surgery-{os.getpid()}-"
    command = [
        str(program),
        f"--model-repository={workspace / 'models'}",
        f"--backend-directory={workspace / 'backends'}",
        "--http-address=127.0.0.1",
        f"--grpc-address={endpoints.address}",
        f"--metrics-address={endpoints.address}",
        f"--http-port={endpoints.inner}",
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
            # The Python backend imports from the current folder too.
            cwd=workspace,
            # In a group of its own: Ctrl-C reaches only this program, which then lets the server finish its requests.
            start_new_session=True,
            preexec_fn=partial(_end_with_parent, os.getpid()),
        )
    server = TritonServer(process, log, verbose)
    try:
        yield server
    finally:
        server.stop()
        # Requests and answers pass through shared memory. A server that ended by itself has not removed it.
        for segment in Path("/dev/shm").glob(f"{shared_memory}*"):
            segment.unlink(missing_ok=True)


def open_here(url: str, timeout: float) -> Any:
    """Opens a URL of this machine. A proxy that the environment names is ignored. Raises OSError."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=timeout)


def _end_with_parent(parent: int) -> None:
    """Runs in the child: lets it receive SIGTERM when the parent dies for any reason (prctl(2), PR_SET_PDEATHSIG).

    If the parent has died before that call, the child does not start.
    """
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)
