"""Measures mixed precision in a process of its own, where this machine's processor can show it."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from contextlib import suppress
from typing import Any

from surgery import errors, limits
from surgery.errors import InternalError, SurgeryError
from surgery.processes import child
from surgery.progress import Progress
from surgery.tfserving.mixed_precision import MixedPrecision, cannot_tell, cost_of
from surgery.tfserving.processor import read_processor
from surgery.tfserving.served import Served

ENVIRONMENT = {"TF_ENABLE_ONEDNN_OPTS": "1", "CUDA_VISIBLE_DEVICES": "-1"}
"""The pass belongs to oneDNN, which runs on the processor. TensorFlow reads both as it is imported."""


def measure_mixed_precision(served: Served, *, trust: bool, progress: Progress) -> MixedPrecision:
    """What `--mixed_precision=bfloat16` costs and gains, for the described signatures and their requests.

    TensorFlow is started only where the processor has the instructions. Raises SurgeryError when the export may not be
    run, or cannot.
    """
    processor = read_processor()
    if unknown := cannot_tell(processor):
        return MixedPrecision(processor=processor, unknown=unknown)
    request = {
        "folder": str(served.folder),
        "signatures": [signature.name for signature in served.signatures],
        "batch": served.batch,
        "length": served.length,
        "trust": trust,
        "limits": dict(limits.changed()),
    }
    costs = _ask(request, progress)
    return MixedPrecision(processor=processor, signatures=tuple(cost_of(cost) for cost in costs))


def _ask(request: dict[str, Any], progress: Progress) -> Any:
    """The child's answer to a request. Raises the SurgeryError that it names, and InternalError where it has died."""
    command = child.command("-m", "surgery.tf.mixed_precision")
    environment = {**os.environ, **ENVIRONMENT}
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log,
        subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, encoding="utf-8"
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with suppress(BrokenPipeError):  # it has died already: its code and its last line say why
                process.stdin.write(json.dumps(request))
                process.stdin.close()
            for line in process.stdout:
                answer = json.loads(line)
                if "progress" in answer:
                    progress(*answer["progress"])
                elif "error" in answer:
                    raise _error(**answer["error"])
                else:
                    return answer["costs"]
            code = process.wait()
        except BaseException:
            process.kill()
            raise
        log.seek(0)
        last = (log.read().strip().splitlines() or ["it printed nothing"])[-1]
    raise InternalError(f"measuring bfloat16 of {request['folder']}: the process ended with code {code}: {last}")


def _error(kind: str, message: str, hint: str | None) -> SurgeryError:
    """The error of the child as one of this process."""
    found = getattr(errors, kind, SurgeryError)
    made: SurgeryError = found(message, hint=hint)
    return made
