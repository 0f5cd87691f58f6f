"""Warm-up requests. TensorFlow Serving runs them before a version takes traffic, so that no client waits for it.

The first run of a signature optimises its graph and allocates memory, which takes many times as long as the next run.
The server reads `assets.extra/tf_serving_warmup_requests`, a TFRecord file of PredictionLogs. It refuses the version
when one of them fails. Each request is therefore read back and run before the file is published.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from surgery.arguments import argument
from surgery.errors import UsageError
from surgery.export.publish import publish_file, staging
from surgery.module import InspectedModule
from surgery.progress import Progress, silent
from surgery.scanning.gate import Cleared, cleared
from surgery.tfserving.extra import require_serving
from surgery.tfserving.requests import WarmupRequest, warmup_requests
from surgery.tfserving.served import WARMUP, Served, describe_served, name_of


@dataclass(frozen=True, kw_only=True)
class Warmup:
    """A published warm-up file.

    Attributes:
        file: Its path in the export.
        requests: The requests that the server will run.
    """

    file: Path
    requests: tuple[WarmupRequest, ...]


def check_warmup(folder: Path, *, overwrite: bool) -> None:
    """Checks, before anything slow, that warm-up requests can be written.

    Raises UsageError where the extra is missing, or there is a file and `overwrite` is not set.
    """
    require_serving("writing warm-up requests")
    if (folder / WARMUP).exists() and not overwrite:
        raise UsageError(
            f"writing {folder / WARMUP}: it exists already", hint=f"give {argument('overwrite', True)} to replace it"
        )


def write_warmup(
    served: Served,
    permission: Cleared,
    model: str,
    *,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Warmup:
    """Writes the warm-up file of an export, reads it back, runs every request, and only then puts it in place.

    `permission` is the gate's word that the export may be run. Raises ModuleError when the export refuses a request,
    and WriteError when the file cannot be written. An earlier file is then unchanged.
    """
    check_warmup(served.folder, overwrite=overwrite)
    requests = warmup_requests(served)
    progress("start TensorFlow", 0, 0)
    from surgery.tf import warmup

    place = served.folder / WARMUP
    with staging(place) as folder:
        staged = folder / place.name
        logs = [warmup.prediction_log(model, request) for request in requests]
        warmup.write_logs(logs, staged)
        warmup.replay_logs(
            permission, requests, warmup.read_logs(staged, logs), progress, with_text=bool(served.text_operations)
        )
        publish_file(staged, place)
    return Warmup(file=place, requests=requests)


def warm_staged(staged: InspectedModule, destination: Path, progress: Progress = silent) -> int:
    """Warms up a staged export under the name that its destination gives it; returns the number of requests."""
    model, _, _ = name_of(destination.absolute())
    return len(write_warmup(describe_served(staged), cleared(staged), model, progress=progress).requests)
