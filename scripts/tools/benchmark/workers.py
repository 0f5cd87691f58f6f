"""Processes that hold a model and run it when they are asked to (`programs.worker`)."""

import contextlib
import json
import os
import pathlib
import subprocess
import tempfile
from collections.abc import Mapping
from typing import Any

from scripts.tools.benchmark.processes import QUIET

ENVIRONMENT = {"TF_ENABLE_ONEDNN_OPTS": "1", "CUDA_VISIBLE_DEVICES": "-1"}
"""oneDNN on, whatever TensorFlow's default for this processor is; and no GPU."""
SHOWN = 3000


class WorkerFailed(Exception):
    """A worker has ended; the message has the end of its output."""


class Worker:
    """A process with a model. It ends when the `with` block ends.

    Attributes:
        version: Name and version of its runtime.
        load: Seconds that loading the model took.
    """

    def __init__(
        self,
        command: list[str],
        root: pathlib.Path,
        variables: Mapping[str, str] | None = None,
        core: int | None = None,
    ) -> None:
        """Start the process, on one core or on all, and wait until its model is loaded. Raises WorkerFailed."""
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  closed by `close`
        environment = {**os.environ, **QUIET, **ENVIRONMENT, "PYTHONPATH": str(root), **(variables or {})}
        self._process = subprocess.Popen(
            command,
            cwd=root,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            encoding="utf-8",
        )
        if core is not None:  # long before it imports a library that counts them
            os.sched_setaffinity(self._process.pid, [core])
        try:
            first = self._answer()
        except BaseException:
            self.close()
            raise
        self.version, self.load = str(first["version"]), float(first["load"])

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, **request: Any) -> dict[str, Any]:
        """Return the answer to a request. Raises WorkerFailed."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended: the missing answer says why
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            if stream is not None and not stream.closed:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            self._log.seek(0)
            tail = self._log.read().decode(errors="replace")[-SHOWN:]
            raise WorkerFailed(f"the process ended with exit code {code}:\n{tail}")
        answer: dict[str, Any] = json.loads(line)
        return answer
